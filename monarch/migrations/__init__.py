"""Migrations: plain Python files, which of them are to run, and running them. Knows no database."""
