"""Proofs that backups can be restored."""
