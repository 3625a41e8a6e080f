"""What a query set selects of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monarch.databases.environment import Environment
from monarch.databases.selection import Reference, TableQuery
from monarch.errors import UsageError
from monarch.querysets.evaluate import evaluate
from monarch.querysets.queryset import QuerySet

BILLING = Environment("billing", "postgres", "billing", server="localhost")
APP = Environment("app", "mongo", "app", server="localhost")


def query_for(name: Any, *arguments: Any, **more: Any) -> TableQuery:
    query_set = QuerySet()
    query_set.dump_table(name, *arguments, **more)
    (one,) = query_set._table_queries
    return one


def test_calls_are_recorded_in_order() -> None:
    query_set = QuerySet()
    query_set.dump_table("orders", "state = %s", ["open"])
    query_set.dump_table("orders", "id = %(id)s", {"id": 3}, limit=0)
    query_set.follow("users.id", "orders.user_id", onward=False)
    assert query_set._table_queries == [
        TableQuery("orders", "state = %s", ["open"]),
        TableQuery("orders", "id = %(id)s", {"id": 3}),
    ]
    assert query_set._references == [Reference("users.id", "orders.user_id", False)]


def test_all_arguments_of_dump_table() -> None:
    assert query_for(
        "orders", "true", columns=["id"], order_by="at DESC", limit=3, missing_ok=True
    ) == TableQuery("orders", "true", [], ("id",), ("at DESC",), 3, missing_ok=True)
    assert query_for("orders", order_by=["at", "id"], limit=1).order_by == ("at", "id")
    assert query_for("orders", sample=0.5, seed=1) == TableQuery("orders", "", [], sample=0.5, seed=1)


def test_later_changes_of_values_have_no_effect() -> None:
    ids = [1]
    query = query_for("orders", "id = ANY(%s)", (ids,))
    ids.append(2)
    assert query.values == [[1]]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda it: it.dump_table(""), TypeError, "'' is not the name of a table"),
        (lambda it: it.dump_table(7), TypeError, "7 is not the name of a table"),
        (lambda it: it.dump_table("a", {"b": 1}), TypeError, "the condition of 'a' must be a text, not dict"),
        (
            lambda it: it.dump_table("a", "b = %s", "x"),
            TypeError,
            "the values of 'a' must be a list or a dict",
        ),
        (lambda it: it.dump_table("a", "b = %s", 5), TypeError, "the values of 'a' must be a list or a dict"),
        (lambda it: it.dump_table("a", "", [5]), TypeError, "values for 'a', but no condition"),
        (lambda it: it.dump_table("a", limit=-1), ValueError, "limit=-1 of 'a' is not a number of rows"),
        (lambda it: it.dump_table("a", sample=0), ValueError, "sample=0 of 'a' is neither"),
        (lambda it: it.dump_table("a", sample=1, limit=1), ValueError, "combined with order_by= or limit="),
        (lambda it: it.dump_table("a", seed=1), ValueError, "seed= of 'a' requires sample="),
        (lambda it: it.dump_table("a", columns="b"), TypeError, "columns='b' of 'a' is not a list of names"),
        (lambda it: it.dump_table("a", columns=[5]), TypeError, "columns=[5] of 'a' is not a list of names"),
        (lambda it: it.dump_table("a", order_by=5), TypeError, "order_by=5 of 'a' is not a list of names"),
        (lambda it: it.dump_table("a", order_by="b"), ValueError, "order_by= of 'a' requires limit="),
    ],
)
def test_invalid_calls(call: Callable[[Any], None], kind: type[Exception], message: str) -> None:
    query_set = QuerySet()
    with pytest.raises(kind) as raised:
        call(query_set)
    assert message in str(raised.value)
    assert query_set._table_queries == []


def run(tmp_path: Path, body: str, environment: Environment, **handles: object) -> Any:
    folder = tmp_path / "querysets"
    folder.mkdir()
    source = (
        f"from monarch import QuerySet\n\nclass PartQuerySet(QuerySet):\n    def run(self):\n        {body}\n"
    )
    (folder / "part.py").write_text(source)
    return evaluate(tmp_path, "PartQuerySet", {}, environment, handles).selection


def test_tables_are_part_of_the_selection(tmp_path: Path) -> None:
    selection = run(tmp_path, "self.dump_table('orders')", BILLING)
    assert (selection.table_queries, selection.queries) == ((TableQuery("orders", "", []),), ())


@pytest.mark.parametrize(
    ("body", "environment", "message", "hint"),
    [
        (
            "self.dump_collection('orders')",
            BILLING,
            "dump_collection() does not select from a PostgreSQL database, and 'billing' is one.",
            "Use self.dump_table('orders', 'state = %s', ['open'])",
        ),
        (
            "self.dump_table('orders')",
            APP,
            "dump_table() does not select from a MongoDB database, and 'app' is one.",
            "Use self.dump_collection('orders', {'state': 'open'})",
        ),
    ],
)
def test_each_kind_of_database_has_its_method(
    tmp_path: Path, body: str, environment: Environment, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        run(tmp_path, body, environment)
    assert (raised.value.message, raised.value.hint) == (message, hint)


def test_a_cursor_is_one_of_the_connection(tmp_path: Path) -> None:
    class Connection:
        def cursor(self) -> list[str]:
            return ["open"]

    body = "self.dump_table('orders', 'state = ANY(%s)', [self.cursor()])"
    selection = run(tmp_path, body, BILLING, connection=Connection())
    assert selection.table_queries[0].values == [["open"]]
