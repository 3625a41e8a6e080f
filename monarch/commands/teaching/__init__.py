"""What teaches: the manual in the terminal."""
