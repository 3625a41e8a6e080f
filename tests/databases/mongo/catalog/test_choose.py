"""Which collections views read, and what is incomplete without the rest."""

from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.mongo.catalog.choose import choose
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.view_reads import collections_read
from monarch.databases.selection import Choice


def view(name: str, on: str, *pipeline: dict[str, Any]) -> Collection:
    return Collection(name, "view", {"viewOn": on, "pipeline": list(pipeline)}, ())


@pytest.mark.parametrize(
    ("stage", "read"),
    [
        ({"$match": {"from": "nothing"}}, set()),
        ({"$lookup": {"from": "a", "localField": "x", "foreignField": "y", "as": "z"}}, {"a"}),
        ({"$lookup": {"from": "a", "pipeline": [{"$unionWith": "b"}], "as": "z"}}, {"a", "b"}),
        ({"$lookup": {"pipeline": [{"$documents": []}], "as": "z"}}, set()),
        ({"$lookup": {"from": {"db": "local", "coll": "oplog.rs"}, "as": "z"}}, set()),
        ({"$unionWith": {"coll": "a", "pipeline": [{"$lookup": {"from": "b", "as": "z"}}]}}, {"a", "b"}),
        ({"$facet": {"one": [{"$graphLookup": {"from": "a", "startWith": "$x"}}], "two": []}}, {"a"}),
    ],
)
def test_the_collections_that_a_view_reads(stage: dict[str, Any], read: set[str]) -> None:
    assert collections_read(view("v", "users", stage)) == {"users", *read}
    assert collections_read(Collection("v", "collection", {"viewOn": "users"}, ())) == set()


@pytest.mark.parametrize(
    ("names", "only", "notes"),
    [
        (["fs.files", "fs.chunks", "users"], "fs.chunks", ["'fs.chunks' belongs to 'fs.files'"]),
        (["fs.files", "users"], "fs.files", []),
        (["users", "enxcol_.users.esc", "enxcol_.users.ecoc"], "users", ["'users' belongs to"] * 2),
        (["users", "enxcol_.users.esc"], "enxcol_.users.esc", ["'enxcol_.users.esc' belongs to 'users'"]),
        (["users", "orders"], "users", []),
    ],
)
def test_what_belongs_together_is_noted(names: list[str], only: str, notes: list[str]) -> None:
    chosen = choose(tuple(Collection(name, "collection", {}, ()) for name in names), Choice(only=(only,)))
    assert [one.name for one in chosen.collections] == [only]
    assert len(chosen.notes) == len(notes)
    assert all(found.startswith(note) for found, note in zip(chosen.notes, notes, strict=True))


def test_a_view_that_misses_only_what_was_never_there_is_complete() -> None:
    both = (view("v", "gone"), Collection("users", "collection", {}, ()))
    assert choose(both, Choice(only=("v",))).notes == ()
