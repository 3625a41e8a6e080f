"""Backups in a folder of this machine, or of a mounted file system."""
