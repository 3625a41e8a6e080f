"""What can be observed of a database without changing anything, for `monarch doctor`."""
