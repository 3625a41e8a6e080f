"""The environments of the sample project: two PostgreSQL servers that run only while a command does."""

ENVIRONMENTS = {
    "production": {"embedded": True, "kind": "postgres", "db_name": "shelter"},
    "development": {"embedded": True, "kind": "postgres", "db_name": "shelter"},
}

BACKUPS = {"LOCAL": {"backup_dir": "backups"}}
