"""How long backups are kept."""
