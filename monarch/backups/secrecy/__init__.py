"""Encrypted backups: the age format (age-encryption.org/v1), after compression."""
