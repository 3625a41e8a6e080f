"""Searching masked documents for values that the masks were to hide."""
