"""Backups: archives with their manifests, in a store."""
