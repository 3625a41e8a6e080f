"""Query sets: plain Python files that say which part of a database is wanted. Knows no database."""
