"""What `monarch doctor` looks at in PostgreSQL. Nothing here writes."""
