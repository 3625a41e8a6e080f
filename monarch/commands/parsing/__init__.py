"""Command lines: the group of commands, arguments, completion."""
