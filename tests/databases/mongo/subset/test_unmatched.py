"""References that find fewer documents than expected are reported, with numbers and types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import DBRef, ObjectId

from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.sources.server import MongoServerSource
from monarch.databases.selection import CollectionQuery, Reference, Selection
from monarch.errors import UsageError
from tests.databases.mongo.subset.test_resolve import endpoint, ids, read
from tests.support.servers.mongod import Server


@pytest.fixture
def source(server: Server) -> Iterator[DatabaseHandle]:
    with endpoint(server) as made:
        yield made


def notes(source: DatabaseHandle, *references: Reference, **chosen: Any) -> tuple[str, ...]:
    return MongoServerSource(source, NativeEngine(), Selection(references=references, **chosen)).notes


def test_strings_do_not_find_object_ids(source: DatabaseHandle) -> None:
    products = [ObjectId() for _ in range(9)]
    source.database["products"].insert_many({"_id": product} for product in products)
    source.database["orders"].insert_many(
        {"_id": n, "product_id": product if n < 4 else str(product)} for n, product in enumerate(products)
    )
    assert notes(source, Reference("orders.product_id", "products._id")) == (
        "follow('orders.product_id', 'products._id'): 4 of 9 values were found. They are 5 strings and "
        "4 ObjectIds; 'products._id' has ObjectIds.",
    )


def test_a_misspelled_field(source: DatabaseHandle) -> None:
    source.database["products"].insert_one({"_id": 1})
    source.database["orders"].insert_one({"_id": 1, "product_id": 1})
    assert notes(source, Reference("orders.productid", "products._id")) == (
        "follow('orders.productid', 'products._id'): no included document has a value in 'orders.productid'. "
        "Check how the field is spelled.",
    )
    assert notes(source, Reference("orders.product_id", "products.id")) == (
        "follow('orders.product_id', 'products.id'): none of 1 values were found. They are 1 number; "
        "'products.id' has no values.",
    )


def test_nothing_included_is_not_called_a_misspelling(source: DatabaseHandle) -> None:
    source.database["accounts"].insert_one({"_id": 1})
    source.database["orders"].insert_one({"_id": 1, "account_id": 1})
    nothing = CollectionQuery("accounts", {"_id": 999_999})
    assert notes(source, Reference("accounts._id", "orders.account_id"), queries=(nothing,)) == (
        "follow('accounts._id', 'orders.account_id'): no document of 'accounts' is included, "
        "so nothing was followed.",
    )


@pytest.mark.parametrize(
    ("value", "there"),
    [
        (1, 1.0),
        ([1, 1.0], 1),
        (DBRef("products", 7), 7),
        ({"a": 1, "b": [2]}, {"a": 1, "b": [2]}),
        ([None, "x"], "x"),
        (True, True),
    ],
)
def test_nothing_is_reported_if_all_are_found(source: DatabaseHandle, value: object, there: object) -> None:
    source.database["products"].insert_one({"_id": there})
    source.database["orders"].insert_one({"_id": 1, "product_id": value})
    assert notes(source, Reference("orders.product_id", "products._id")) == ()


def test_users_without_orders_are_usual(source: DatabaseHandle) -> None:
    source.database["users"].insert_many({"_id": n} for n in range(5))
    source.database["orders"].insert_one({"_id": 1, "user_id": 3})
    assert notes(source, Reference("users._id", "orders.user_id")) == ()
    source.database["orders"].update_one({}, {"$set": {"user_id": "3"}})
    assert notes(source, Reference("users._id", "orders.user_id")) == (
        "follow('users._id', 'orders.user_id'): none of 5 values were found. They are 5 numbers; "
        "'orders.user_id' has strings.",
    )


def test_without_onward_no_reference_is_followed_from_referenced_documents(source: DatabaseHandle) -> None:
    """The authors of messages are included, but not all their messages."""
    source.database["users"].insert_many({"_id": n} for n in range(4))
    source.database["messages"].insert_many(
        {"_id": n, "channel": n // 2, "author": author} for n, author in enumerate([0, 1, 1, 2])
    )
    channel = CollectionQuery("messages", {"channel": 0})
    wrote = Reference("users._id", "messages.author")
    everything = read(source, Selection((channel,), (Reference("messages.author", "users._id"), wrote)))
    assert (ids(everything["users"]), ids(everything["messages"])) == ([0, 1], [0, 1, 2])
    bounded = Reference("messages.author", "users._id", onward=False)
    with pytest.raises(
        UsageError, match=r"follow\(\) goes from 'users' to 'messages', but starts at no document"
    ):
        read(source, Selection((channel,), (bounded, wrote)))
    one = CollectionQuery("users", {"_id": 2})
    came = read(source, Selection((channel, one), (bounded, wrote)))
    assert (ids(came["users"]), ids(came["messages"])) == ([0, 1, 2], [0, 1, 3])


def test_a_reference_with_onward_continues_from_documents_of_another(source: DatabaseHandle) -> None:
    source.database["a"].insert_one({"_id": 1, "stop": 1, "on": 1})
    source.database["b"].insert_one({"_id": 1, "c": 1})
    source.database["c"].insert_one({"_id": 1})
    references = (
        Reference("a.stop", "b._id", onward=False),
        Reference("a.on", "b._id"),
        Reference("b.c", "c._id"),
    )
    for order in (references, references[::-1]):
        assert ids(read(source, Selection(references=order))["c"]) == [1]
