"""The history of migrations in PostgreSQL.

``monarch_history.history`` has one row for each migration, ``monarch_history.journal`` one for each attempt
at one. Both are written in one transaction, which also checks that the writer still holds the lease: so they
never disagree, and a run that lost its lease writes nothing. If a migration runs in a
transaction, it is that one: all of it happened and is recorded, or nothing.

An attempt without an outcome is open. Its migration is in Processing. If its run has died, readers show it as
Interrupted, and the next writer closes it as that. An interrupted attempt leaves its migration in Processing
if it was cut off, and in Failed if it could still be recorded; readers show both as Interrupted.
"""
