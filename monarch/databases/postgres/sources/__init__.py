"""Where the contents of a transfer come from: a database, or an archive of pg_dump."""
