"""The sample data of the demo: a shelter of dogs."""

from __future__ import annotations

from typing import Any, cast

from monarch.databases.base import Database

NAMES = ("Rex", "Bella", "Luna", "Otto", "Cleo", "Milo", "Nala", "Balu")
BREEDS = ("Beagle", "Boxer", "Corgi", "Poodle", "Whippet")
DOGS = 500


def fill(database: Database) -> None:
    """Put the sample's dogs and their owners into ``database``, the same ones each time."""
    target = cast(Any, database.handles()["database"])
    target.users.insert_many(
        {"_id": n, "name": f"User {n}", "email": f"user{n}@example.com"} for n in range(DOGS // 5)
    )
    target.dogs.insert_many(
        {
            "_id": n,
            "name": NAMES[n % len(NAMES)],
            "breed": BREEDS[n % len(BREEDS)],
            "owner": n % (DOGS // 5),
            "weight": f"{5 + n % 30} kg",
        }
        for n in range(DOGS)
    )
