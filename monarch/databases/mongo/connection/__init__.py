"""Connecting to MongoDB: the keys of an environment, URIs, the client, and the handle of a database."""
