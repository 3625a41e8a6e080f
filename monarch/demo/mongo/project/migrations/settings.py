"""The environments of the sample project: two MongoDB servers that run only while a command does."""

ENVIRONMENTS = {
    "production": {"embedded": True, "db_name": "shelter"},
    "development": {"embedded": True, "db_name": "shelter"},
}

BACKUPS = {"LOCAL": {"backup_dir": "backups"}}
