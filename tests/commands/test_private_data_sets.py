"""Copies of databases of invented people hold nobody: rules as suggested, and an independent search."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bson import ObjectId

from tests.support.people import DATA_SETS, DataSet
from tests.support.runs.two_environments import TwoEnvironments, entry

pytestmark = pytest.mark.server

PEOPLE = 15


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in ``value``, names of fields too."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield name
            yield from texts_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)
    elif isinstance(value, bytes):
        yield value.decode("latin-1")
    elif not isinstance(value, ObjectId):
        yield str(value)


def values_at(document: Any, path: list[str]) -> Iterator[Any]:
    """Yield the values of the rule's ``path`` in ``document``."""
    if not path:
        yield document
        return
    name, items, _ = path[0].partition("[]")
    if not isinstance(document, Mapping):
        return
    for found in list(document.values()) if name == "*" else [document[name]] if name in document else []:
        depth = path[0].count("[]") if items else 0
        for one in _items(found, depth):
            yield from values_at(one, path[1:])


def _items(value: Any, depth: int) -> Iterator[Any]:
    if not depth:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _items(one, depth - 1)


def secrets_of(data: DataSet, documents: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """Return the texts of personal fields that do not occur by chance: mails, phones, full names, codes.

    Towns of one word are invented by masks too, and Atlas has them as markets.
    """
    found = set()
    for place in data.personal:
        name = max((one for one in documents if place.startswith(f"{one}.")), key=len)
        path = place[len(name) + 1 :].split(".")
        for document in documents[name]:
            for value in values_at(document, path):
                if isinstance(value, str) and len(value) >= 8 and not value.isalpha():
                    found.add(value)
    return found


@pytest.mark.parametrize("data", DATA_SETS, ids=lambda data: data.name)
def test_nobody_is_in_the_copy(two: TwoEnvironments, data: DataSet) -> None:
    two.source.client.drop_database(two.source.name)
    documents = data.build(random.Random(11), PEOPLE)
    for name, those in documents.items():
        two.source[name].insert_many(those)
    for collection, field in data.unique:
        two.source[collection].create_index(field, unique=True)
    two.folder.settings(
        production=entry(two.server, two.source.name, protected=False, private=True),
        dev=entry(two.server, two.target.name, protected=False),
    )
    secrets = secrets_of(data, documents)
    assert sum("@" in one for one in secrets) >= PEOPLE
    suggested = two.folder.monarch("suggest_masks", "production")
    assert suggested.code == 0, suggested.output
    copied = two.copy("--yes", "--engine", "native", "--check", "all")
    assert copied.code == 0, copied.output
    leaks = two.folder.monarch("leaks", "production:dev", "--check", "all")
    assert leaks.code == 0, leaks.output
    arrived = {name: list(two.target[name].find()) for name in documents}
    assert {name: len(those) for name, those in arrived.items()} == {
        name: len(those) for name, those in documents.items()
    }
    text = "\n".join(one for those in arrived.values() for document in those for one in texts_of(document))
    assert [one for one in sorted(secrets) if one in text] == []
