"""The sample project for PostgreSQL."""

from __future__ import annotations

from typing import Any, cast

from monarch.databases.base import Database
from monarch.demo.data import dogs, users

# Rows have no masks.
IS_MASKED = False

_TABLES = (
    "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL)",
    "CREATE TABLE dogs (id integer PRIMARY KEY, name text NOT NULL, breed text NOT NULL, "
    "owner integer NOT NULL REFERENCES users, weight text NOT NULL)",
)
_USER = "INSERT INTO users VALUES (%(id)s, %(name)s, %(email)s)"
_DOG = "INSERT INTO dogs VALUES (%(id)s, %(name)s, %(breed)s, %(owner)s, %(weight)s)"


def fill(database: Database) -> None:
    """Create the tables of the sample's dogs and their owners in ``database``, and fill them."""
    connection = cast(Any, database.handles()["connection"])
    with connection.transaction(), connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(table)
        cursor.executemany(_USER, users())
        cursor.executemany(_DOG, dogs())
