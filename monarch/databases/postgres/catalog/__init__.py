"""What a PostgreSQL database holds, as its catalog describes it."""
