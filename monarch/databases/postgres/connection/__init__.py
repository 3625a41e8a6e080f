"""Connections to a PostgreSQL server: the settings, libpq's parameters, and errors for people."""
