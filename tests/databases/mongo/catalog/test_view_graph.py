"""Views that a server refuses beside each other are refused before anything is copied."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.errors import OperationFailure

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.view_graph import require_accepted_views
from monarch.errors import UsageError
from tests.databases.mongo.engines.test_pairs import scratch
from tests.support.servers.mongod import Server


def view(
    name: str, on: str, *stages: dict[str, Any], renamed: str | None = None, **options: Any
) -> Collection:
    options |= {"viewOn": on, "pipeline": list(stages)}
    return Collection(name, "view", options, (), renamed=renamed)


def lookup(other: str) -> dict[str, Any]:
    return {"$lookup": {"from": other, "localField": "a", "foreignField": "a", "as": "b"}}


def chain(length: int, on: str = "things") -> list[Collection]:
    return [view(f"v{n}", f"v{n - 1}" if n else on) for n in range(length)]


REFUSED = {
    "itself": ([view("v", "things", renamed="things")], [], "would read themselves: 'things' reads 'things'"),
    "each other": ([view("a", "b")], [view("b", "a")], "would read themselves: 'a' reads 'b' reads 'a'"),
    "by a lookup": ([view("a", "x", lookup("b"))], [view("b", "a")], "'a' reads 'b' reads 'a'"),
    "by a facet": ([view("a", "x", {"$facet": {"f": [lookup("b")]}})], [view("b", "a")], "'a' reads 'b'"),
    "too many": (chain(20), [view("w", "v19")], "'w' of 'dev' would be on 20 other views"),
    "too many below": ([view("v0", "x")], [view("x", "y"), *chain(20)[1:]], "would be on 20 other views"),
    "collation": (
        [view("a", "x", collation={"locale": "fr"})],
        [view("b", "a", collation={"locale": "de"})],
        "'b' and 'a' of 'dev' would have different collations",
    ),
    "no collation": ([view("a", "x", collation={"locale": "fr"})], [view("b", "a")], "different collations"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_server_accepts_is_refused(what: str) -> None:
    coming, staying, message = REFUSED[what]
    with pytest.raises(UsageError, match=message) as caught:
        require_accepted_views(coming, staying, "dev")
    assert "--exclude" in (caught.value.hint or "")


ACCEPTED = {
    "as many as a server allows": (chain(19), [view("w", "v18")]),
    "a diamond": ([view("a", "b", lookup("c")), view("b", "d"), view("c", "d"), view("d", "x")], []),
    "one that is replaced": ([view("a", "b"), view("b", "x")], []),
    "the same collation": (
        [view("a", "x", collation={"locale": "fr", "version": "57.1"})],
        [view("b", "a", collation={"locale": "fr"})],
    ),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_servers_accept_is_accepted(what: str) -> None:
    require_accepted_views(*ACCEPTED[what], "dev")


@pytest.mark.server
def test_a_server_has_this_limit(server: Server) -> None:
    with scratch(server) as database:
        for one in chain(20):
            database.create_collection(one.name, viewOn=one.options["viewOn"], pipeline=[])
        with pytest.raises(OperationFailure, match="depth limit"):
            database.create_collection("w", viewOn="v19", pipeline=[])
