"""The catalog of a database: its collections, their options and indexes, and queries on them."""
