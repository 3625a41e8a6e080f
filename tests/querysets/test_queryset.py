from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient

from monarch.databases.selection import CollectionQuery, Reference
from monarch.querysets.queryset import QuerySet


def query_for(name: Any, *arguments: Any, **more: Any) -> CollectionQuery:
    query_set = QuerySet()
    query_set.dump_collection(name, *arguments, **more)
    (one,) = query_set._queries
    return one


def test_calls_are_recorded_in_order() -> None:
    query_set = QuerySet()
    query_set.dump_collection("dogs")
    query_set.dump_collection("dogs", {"a": 1})
    query_set.follow("dogs._id", "houses.dog_id")
    assert [(one.collection, one.query) for one in query_set._queries] == [("dogs", {}), ("dogs", {"a": 1})]
    assert query_set._references == [Reference("dogs._id", "houses.dog_id")]
    assert QuerySet()._queries == []
    assert (query_set.only(), query_set.exclude()) == (None, None)


def test_all_arguments_of_dump_collection() -> None:
    assert query_for(
        "dogs", {"a": 1}, projection=["a"], sort="a", limit=3, missing_ok=True
    ) == CollectionQuery("dogs", {"a": 1}, ["a"], (("a", 1),), 3, missing_ok=True)
    assert query_for("dogs", sample=10, seed=1) == CollectionQuery("dogs", sample=10, seed=1)
    # As in pymongo's find, empty values have no effect.
    assert query_for("dogs", {}, projection=[], sort=None, limit=0) == CollectionQuery("dogs")


@pytest.mark.parametrize(
    ("sort", "pairs"),
    [
        ("a", (("a", 1),)),
        (["a", ("b", -1)], (("a", 1), ("b", -1))),
        ([("a", -1)], (("a", -1),)),
        ({"a": -1, "b": 1}, (("a", -1), ("b", 1))),
        ([("score", {"$meta": "textScore"})], (("score", {"$meta": "textScore"}),)),
    ],
)
def test_every_spelling_of_a_sort(sort: Any, pairs: Any) -> None:
    assert query_for("dogs", sort=sort).sort == pairs


def test_a_pymongo_collection_stands_for_its_name() -> None:
    with MongoClient[dict[str, Any]](connect=False) as client:
        assert query_for(client["db"]["dogs"]["old"]).collection == "dogs.old"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda it: it.dump_collection(""), TypeError, "'' is not the name of a collection"),
        (lambda it: it.dump_collection(7), TypeError, "7 is not the name of a collection"),
        (lambda it: it.dump_collection("a", [1]), TypeError, "the query of 'a' must be a dict, not list"),
        (lambda it: it.dump_collection("a", "x"), TypeError, "the query of 'a' must be a dict, not str"),
        (lambda it: it.dump_collection("a", limit=-1), ValueError, "limit=-1 of 'a' is not a number"),
        (lambda it: it.dump_collection("a", limit=1.5), ValueError, "limit=1.5 of 'a' is not a number"),
        (lambda it: it.dump_collection("a", limit=True), ValueError, "limit=True of 'a' is not a number"),
        (lambda it: it.dump_collection("a", sample=0), ValueError, "sample=0 of 'a' is neither"),
        (lambda it: it.dump_collection("a", sample=-3), ValueError, "sample=-3 of 'a' is neither"),
        (lambda it: it.dump_collection("a", sample=0.0), ValueError, "sample=0.0 of 'a' is neither"),
        (lambda it: it.dump_collection("a", sample=1.5), ValueError, "sample=1.5 of 'a' is neither"),
        (lambda it: it.dump_collection("a", sample=True), ValueError, "sample=True of 'a' is neither"),
        (lambda it: it.dump_collection("a", sample="5"), ValueError, "sample='5' of 'a' is neither"),
        (
            lambda it: it.dump_collection("a", sample=5, limit=5),
            ValueError,
            "cannot be combined with sort= or",
        ),
        (
            lambda it: it.dump_collection("a", sample=5, sort="a"),
            ValueError,
            "cannot be combined with sort= or",
        ),
        (lambda it: it.dump_collection("a", seed=5), ValueError, "seed= of 'a' requires sample="),
        (lambda it: it.follow("orders", "users._id"), ValueError, "'orders' is not a collection, a dot"),
        (lambda it: it.follow("orders.user_id", "users."), ValueError, "'users.' is not a collection"),
        (lambda it: it.follow(".user_id", "users._id"), ValueError, "'.user_id' is not a collection"),
        (lambda it: it.follow(None, "users._id"), ValueError, "None is not a collection"),
    ],
)
def test_invalid_calls(call: Callable[[Any], None], kind: type[Exception], message: str) -> None:
    query_set = QuerySet()
    with pytest.raises(kind) as raised:
        call(query_set)
    assert message in str(raised.value)
    assert (query_set._queries, query_set._references) == ([], [])


def test_a_whole_sample_is_a_fraction_and_one_document_a_number() -> None:
    assert (type(query_for("a", sample=1.0).sample), type(query_for("a", sample=1).sample)) == (float, int)


def test_run_must_be_implemented_by_subclasses() -> None:
    with pytest.raises(NotImplementedError):
        QuerySet().run()


def test_later_changes_of_a_query_have_no_effect() -> None:
    query_set, some = QuerySet(), [1]
    query: dict[str, object] = {"in": {"$in": some}}
    for number in (1, 2):
        query["_id"] = number
        query_set.dump_collection("a", query)
        some.clear()
    assert [query_for.query for query_for in query_set._queries] == [
        {"in": {"$in": [1]}, "_id": 1},
        {"in": {"$in": []}, "_id": 2},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"projection": "state"},
        {"projection": 5},
        {"projection": [5]},
        {"sample": 3, "seed": [1]},
        {"limit": 1 << 70},
    ],
)
def test_arguments_without_a_meaning(arguments: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="'a'"):
        QuerySet().dump_collection("a", **arguments)
