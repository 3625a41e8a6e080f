"""Replacing the contents of a database: build them in a database beside it, compare, rename both.

``replacement`` is the whole; ``in_place`` is the other way, for users who may not create databases.
"""
