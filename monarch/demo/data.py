"""The sample data of the demo: a shelter of dogs, the same ones each time."""

from __future__ import annotations

from typing import Any

NAMES = ("Rex", "Bella", "Luna", "Otto", "Cleo", "Milo", "Nala", "Balu")
BREEDS = ("Beagle", "Boxer", "Corgi", "Poodle", "Whippet")
DOGS = 500
USERS = DOGS // 5


def users() -> list[dict[str, Any]]:
    """Return the people of the shelter."""
    return [{"id": n, "name": f"User {n}", "email": f"user{n}@example.com"} for n in range(USERS)]


def dogs() -> list[dict[str, Any]]:
    """Return the dogs. Each one's ``owner`` is the id of a user."""
    return [
        {
            "id": n,
            "name": NAMES[n % len(NAMES)],
            "breed": BREEDS[n % len(BREEDS)],
            "owner": n % USERS,
            "weight": f"{5 + n % 30} kg",
        }
        for n in range(DOGS)
    ]
