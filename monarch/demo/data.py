"""The sample data of the demo: a shelter of dogs, the same ones each time."""

from __future__ import annotations

from typing import Any

NAMES = ("Rex", "Bella", "Luna", "Otto", "Cleo", "Milo", "Nala", "Balu")
BREEDS = ("Beagle", "Boxer", "Corgi", "Poodle", "Whippet")
DOGS = 500
USERS = DOGS // 5
# Nobody has these names: first names go round in tens, last names change after each ten.
FIRST = (
    "Ottilie",
    "Dragan",
    "Yusra",
    "Benedikt",
    "Xenia",
    "Quentin",
    "Aurelia",
    "Cosimo",
    "Ludmila",
    "Zbigniew",
)
LAST = (
    *("Abendroth", "Blumenthal", "Castellano", "Drossel", "Fairweather"),
    *("Grimaldi", "Iwanowski", "Kestrel", "Nachtigall", "Quiroga"),
)


def users() -> list[dict[str, Any]]:
    """Return the people of the shelter."""
    people = [(FIRST[n % len(FIRST)], LAST[n // len(FIRST)]) for n in range(USERS)]
    return [
        {"id": n, "name": f"{first} {last}", "email": f"{first}.{last}@shelter.example".lower()}
        for n, (first, last) in enumerate(people)
    ]


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
