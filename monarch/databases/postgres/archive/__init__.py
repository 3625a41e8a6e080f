"""The archives of pg_dump in its custom format: what is in one, and how data is written into one.

The format is described in PostgreSQL's ``src/bin/pg_dump/pg_backup_archiver.c``.
"""
