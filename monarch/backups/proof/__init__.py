"""Proofs that backups are there, new enough, and can be restored."""
