"""Tests of encrypted backups."""
