"""Query sets: plain Python classes that select a part of a database.

In: a file of ``querysets/`` and the options that a person gives. Out: a `Selection`. The kind of database
resolves the selection; this room opens no database.
"""
