"""Foreign archives: files in the store that the tools of a kind of database wrote, without monarch."""
