"""Resolve a selection to the rows that it selects, and write them into an archive of pg_dump."""
