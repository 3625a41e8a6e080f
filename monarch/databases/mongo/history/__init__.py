"""The history of migrations in MongoDB: reading and writing it."""
