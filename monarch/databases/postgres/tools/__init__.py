"""PostgreSQL's own programs, pg_dump and pg_restore: finding them, and running them."""
