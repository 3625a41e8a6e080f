"""A subset of a database: it has the documents that pymongo's find returns, each once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Decimal128, ObjectId
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.engines.tools import ToolsEngine
from monarch.databases.mongo.sources.base import unwatched
from monarch.databases.mongo.sources.server import MongoServerSource
from monarch.databases.mongo.stream.batches import Batch, split
from monarch.databases.selection import CollectionQuery, Reference, Selection
from monarch.errors import MonarchError, UsageError
from monarch.querysets.queryset import QuerySet
from monarch.settings.environments import parse_environment
from tests.support import counts
from tests.support.servers.mongod import Server

Document = dict[str, Any]
Found = dict[str, list[Document]]


@pytest.fixture
def source(server: Server) -> Iterator[DatabaseHandle]:
    with endpoint(server) as made:
        yield made


class endpoint:
    """A new database on a server."""

    def __init__(self, server: Server) -> None:
        self._client = server.client()
        name = f"t_{ObjectId()}"
        environment = parse_environment("production", {"uri": server.uri, "db_name": name})
        self._made = DatabaseHandle(environment, self._client[name])

    def __enter__(self) -> DatabaseHandle:
        return self._made

    def __exit__(self, *_: object) -> None:
        self._client.drop_database(self._made.database.name)
        self._client.close()


def read(source: DatabaseHandle, selection: Selection, engine: MongoEngine | None = None) -> Found:
    """Return the documents of each collection, in the order in which they are read."""
    return documents_of(MongoServerSource(source, engine or NativeEngine(), selection))


def documents_of(dump: MongoServerSource) -> Found:
    found: Found = {collection.name: [] for collection in dump.collections if collection.kind != "view"}
    with dump.pieces(unwatched) as pieces:
        for piece in pieces:
            if isinstance(piece, Batch):
                found[piece.collection.removeprefix("system.buckets.")] += map(
                    bson.decode, split(piece.payload)
                )
    dump.check()
    return found


def ids(documents: Sequence[Document]) -> list[Any]:
    return [document["_id"] for document in documents]


def fill(database: Database[Any]) -> None:
    """Insert dogs, their houses, and an owner for every three dogs."""
    database["dogs"].insert_many(
        {"_id": n, "age": n % 7, "owner_id": n // 3, "name": f"d{n}"} for n in range(30)
    )
    database["houses"].insert_many({"_id": f"h{n}", "dog_id": n} for n in range(30))
    database["owners"].insert_many({"_id": n, "boss_id": n - 1 if n % 3 else None} for n in range(20))
    database.create_collection("young", viewOn="dogs", pipeline=[{"$match": {"age": 0}}])


MOMENT = datetime(2014, 5, 29, 0, 38, tzinfo=UTC)
VALUES: list[Any] = [
    None,
    0,
    1,
    2,
    2.0,
    -5,
    "a",
    "ab",
    "B",
    True,
    MOMENT,
    Decimal128("1.5"),
    ObjectId("5" * 24),
]
values = st.sampled_from(VALUES)
fields = st.sampled_from(["a", "b.c", "list", "_id"])
documents = st.fixed_dictionaries(
    {},
    optional={
        "a": values,
        "b": st.fixed_dictionaries({}, optional={"c": values}),
        "list": st.lists(values, max_size=3),
    },
)
simple = st.one_of(
    st.builds(lambda field, value: {field: value}, fields, values),
    st.builds(lambda field, value: {field: {"$gte": value}}, fields, values),
    st.builds(lambda field, some: {field: {"$in": some}}, fields, st.lists(values, max_size=4)),
    st.builds(lambda field, there: {field: {"$exists": there}}, fields, st.booleans()),
    st.builds(lambda field: {field: re.compile("^a", re.IGNORECASE)}, fields),
    st.builds(lambda field: {field: {"$regex": "b", "$options": "i"}}, fields),
    st.builds(lambda field, value: {field: {"$not": {"$eq": value}}}, fields, values),
    st.builds(lambda number: {"_id": {"$lt": number}}, st.integers(0, 40)),
)
queries = st.one_of(
    st.just({}),
    simple,
    st.builds(lambda some: {"$or": some}, st.lists(simple, min_size=1, max_size=3)),
    st.builds(lambda one, other: {"$and": [one, other]}, simple, simple),
)
sorts = st.sampled_from([(), (("_id", -1),), (("a", 1), ("_id", 1))])
wishes = st.builds(
    lambda query, sort, limit: CollectionQuery("some", query, None, sort, limit),
    queries,
    sorts,
    st.one_of(st.none(), st.integers(1, 10)),
)
plain_wishes = st.builds(lambda query: CollectionQuery("some", query), queries)


def expected(database: Database[Any], queries: Sequence[CollectionQuery]) -> list[Document]:
    found: dict[Any, Document] = {}
    for one in queries:
        cursor = database["some"].find(one.query, sort=list(one.sort) or None, limit=one.limit or 0)
        found |= {document["_id"]: document for document in cursor}
    return [found[key] for key in sorted(found)]


@pytest.fixture(scope="module")
def again(server: Server) -> Iterator[DatabaseHandle]:
    """One database for all examples."""
    with endpoint(server) as made:
        yield made


# The fixture is used by all examples of a test.
ANY = settings(deadline=None, suppress_health_check=list(HealthCheck))


class TestAgainstFind:
    @settings(
        max_examples=counts.number(reduced=40, full=150),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        data=st.lists(documents, min_size=1, max_size=40), queries=st.lists(wishes, min_size=1, max_size=3)
    )
    def test_native(
        self, again: DatabaseHandle, data: list[Document], queries: list[CollectionQuery]
    ) -> None:
        self._compare(again, data, queries, NativeEngine())

    @settings(
        max_examples=counts.number(reduced=5, full=15), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        data=st.lists(documents, min_size=1, max_size=40),
        queries=st.lists(plain_wishes, min_size=1, max_size=2),
    )
    def test_tools(
        self, again: DatabaseHandle, data: list[Document], queries: list[CollectionQuery], tools: Path
    ) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(tools), prepend=":")
            self._compare(again, data, queries, ToolsEngine())

    def _compare(
        self, again: DatabaseHandle, data: list[Document], queries: list[CollectionQuery], engine: MongoEngine
    ) -> None:
        again.database["some"].delete_many({})
        again.database["some"].insert_many({"_id": number, **one} for number, one in enumerate(data))
        result = read(again, Selection(tuple(queries)), engine)["some"]
        assert sorted(result, key=lambda one: one["_id"]) == expected(again.database, queries)


REFERENCES = st.lists(
    st.tuples(st.integers(0, 15), st.lists(st.integers(0, 15), max_size=2)), min_size=1, max_size=16
)


class TestReferences:
    @settings(
        max_examples=counts.number(reduced=20, full=60),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        graph=st.lists(REFERENCES, min_size=3, max_size=3),
        rules=st.lists(
            st.sampled_from(
                [(f"c{one}.to", f"c{other}._id") for one in range(3) for other in range(3)]
                + [(f"c{one}._id", f"c{other}.to") for one in range(3) for other in range(3)]
            ),
            min_size=1,
            max_size=4,
        ),
        start=st.integers(0, 15),
    )
    def test_references_are_followed_until_nothing_new_is_found(
        self, again: DatabaseHandle, graph: list[Any], rules: list[tuple[str, str]], start: int
    ) -> None:
        held: dict[str, dict[int, Document]] = {}
        for number, nodes in enumerate(graph):
            held[f"c{number}"] = {one: {"_id": one, "to": to} for one, to in nodes}
            again.database[f"c{number}"].drop()
            again.database[f"c{number}"].insert_many(held[f"c{number}"].values())
        selection = Selection(
            (CollectionQuery("c0", {"_id": start}),), tuple(Reference(*rule) for rule in rules)
        )

        def there(path: str) -> str:
            return path.partition(".")[0]

        mentioned = {there(rule[1]) for rule in rules} | {"c0"}
        sources = {there(rule[0]) for rule in rules}
        # A collection that is only the origin of references, without queries, is complete.
        chosen = {name: set() if name in mentioned else set(held[name]) for name in held}
        chosen["c0"] |= {start} & set(held["c0"])
        reached = {"c0"} | (sources - mentioned)
        while more := {there(two) for one, two in rules if there(one) in reached} - reached:
            reached |= more
        if not sources <= reached:
            with pytest.raises(UsageError, match="starts at no document"):
                read(again, selection)
            return
        while True:
            before = {name: set(some) for name, some in chosen.items()}
            for one, other in rules:
                (here, field), (target, key) = one.split("."), other.split(".")
                found = {
                    value
                    for ident in chosen[here]
                    for value in (held[here][ident]["to"] if field == "to" else [ident])
                }
                chosen[target] |= {
                    ident
                    for ident, document in held[target].items()
                    if (ident in found if key == "_id" else found & set(document["to"]))
                }
            if chosen == before:
                break
        result = read(again, selection)
        # Other tests compare the rest.
        assert {name: sorted(ids(result[name])) for name in held} == {
            name: sorted(some) for name, some in chosen.items()
        }


def test_collections_without_queries_are_complete(source: DatabaseHandle) -> None:
    fill(source.database)
    source.database["system.js"].insert_one({"_id": "f", "value": 1})
    result = read(source, Selection((CollectionQuery("dogs", {"age": 1}),)))
    assert ids(result["dogs"]) == [1, 8, 15, 22, 29]
    assert {name: len(some) for name, some in result.items()} == {"dogs": 5, "houses": 30, "owners": 20}


def test_only_and_exclude(source: DatabaseHandle) -> None:
    fill(source.database)
    source.database["mongo_migration_history"].insert_one({"key": "one"})

    def names(**more: Any) -> set[str]:
        dump = MongoServerSource(source, NativeEngine(), Selection(**more))
        return {collection.name for collection in dump.collections}

    history = "mongo_migration_history"
    assert names() == {"dogs", "houses", "owners", "young", history}
    assert names(only=("dogs", "young")) == {"dogs", "young", history}
    assert names(exclude=("dogs", history)) == {"houses", "owners", "young"}
    assert names(only=("dogs",), exclude=("dogs",)) == {history}
    # Queries of run() win over everything else.
    assert names(only=("dogs",), queries=(CollectionQuery("owners", {"_id": 1}),)) == {
        "dogs",
        "owners",
        history,
    }
    assert names(exclude=("owners",), queries=(CollectionQuery("owners"),), only=()) == {"owners", history}
    assert names(
        only=(), references=(Reference("owners._id", "dogs.owner_id"),), queries=(CollectionQuery("owners"),)
    ) == {
        "owners",
        "dogs",
        history,
    }


def test_limits_sorts_and_projections(source: DatabaseHandle) -> None:
    fill(source.database)
    queries = CollectionQuery("dogs", {"age": {"$gt": 2}}, ["name"], (("_id", -1),), 3)
    assert read(source, Selection((queries,)))["dogs"] == [
        {"_id": 27, "name": "d27"},
        {"_id": 26, "name": "d26"},
        {"_id": 25, "name": "d25"},
    ]
    without = CollectionQuery("dogs", {"_id": 3}, {"name": 0, "age": 0})
    assert read(source, Selection((without,)))["dogs"] == [{"_id": 3, "owner_id": 1}]
    whole = CollectionQuery("dogs", projection={"age": 1})
    assert read(source, Selection((whole,)))["dogs"][8] == {"_id": 8, "age": 1}
    # A limited query that is also the target of a reference.
    selection = Selection(
        (queries, CollectionQuery("dogs", {"_id": 0}, ["name"])), (Reference("dogs._id", "houses.dog_id"),)
    )
    result = read(source, selection)
    assert sorted(ids(result["dogs"])) == [0, 25, 26, 27]
    assert sorted(ids(result["houses"])) == ["h0", "h25", "h26", "h27"]


def test_samples(source: DatabaseHandle) -> None:
    fill(source.database)

    def sample(**more: Any) -> list[Any]:
        return sorted(ids(read(source, Selection((CollectionQuery("dogs", **more),)))["dogs"]))

    once = sample(sample=5, seed=1)
    assert len(set(once)) == 5
    assert sample(sample=5, seed=1) == once
    assert any(sample(sample=5, seed=seed) != once for seed in (2, 3))
    assert any(sample(sample=5) != once for _ in range(5))
    assert len(sample(sample=0.5, seed=1)) == 15
    assert sample(sample=99) == list(range(30))
    assert set(sample(sample=2, query={"age": 1})) < {1, 8, 15, 22, 29}
    assert len(sample(sample=1.0)) == 30
    # The houses of the sampled dogs only.
    selection = Selection((CollectionQuery("dogs", sample=4),), (Reference("dogs._id", "houses.dog_id"),))
    result = read(source, selection)
    assert sorted(f"h{one}" for one in ids(result["dogs"])) == sorted(ids(result["houses"]))


def query_for(name: str, query: Any) -> CollectionQuery:
    """Return the collection query for ``query``, as a query set creates it."""
    query_set = QuerySet()
    query_set.dump_collection(name, query)
    (collection_query,) = query_set._queries
    return collection_query


def test_a_cursor_selects_its_ids(source: DatabaseHandle) -> None:
    fill(source.database)
    dogs = source.database["dogs"]
    cursor = dogs.find({"age": 1})
    next(cursor)  # it may be partly consumed already
    for query in (
        {"dog_id": cursor},
        {"dog_id": {"$eq": cursor}},
        {"dog_id": {"$in": dogs.find({"age": 1})}},
        {"$or": [{"dog_id": dogs.aggregate([{"$match": {"age": 1}}])}]},
        {"dog_id": {"$in": {1, 8, 15, 22, 29}}},
        {"dog_id": {"$in": (number for number in (1, 8, 15, 22, 29))}},
        {"dog_id": {"$in": {1: 0, 8: 0, 15: 0, 22: 0, 29: 0}.keys()}},
        {"dog_id": {"$not": {"$ne": cursor}}},
    ):
        result = read(source, Selection((query_for("houses", query),)))["houses"]
        assert ids(result) == ["h1", "h8", "h15", "h22", "h29"], query
    rest = read(source, Selection((query_for("houses", {"dog_id": {"$ne": cursor}}),)))["houses"]
    assert len(rest) == 25
    with pytest.raises(ValueError, match="\\$gt does not accept a cursor"):
        query_for("houses", {"dog_id": {"$gt": cursor}})
    with pytest.raises(ValueError, match="needs the _id"):
        query_for("houses", {"dog_id": dogs.find({}, {"_id": 0})})


def test_an_iterator_may_be_used_in_two_queries(source: DatabaseHandle) -> None:
    fill(source.database)
    once = source.database["dogs"].aggregate([{"$match": {"age": 1}}])
    numbers = (number for number in (1, 8))
    query_set = QuerySet()
    for some in (once, numbers):
        query_set.dump_collection("dogs", {"_id": {"$in": some}})
        query_set.dump_collection("houses", {"dog_id": {"$in": some}})
    result = read(source, Selection(tuple(query_set._queries)))
    assert sorted(ids(result["dogs"])) == [1, 8, 15, 22, 29]
    assert sorted(ids(result["houses"])) == ["h1", "h15", "h22", "h29", "h8"]


def test_dates_beyond_pythons_years(source: DatabaseHandle) -> None:
    late = DatetimeMS(10**15)
    source.database["a"].insert_many([{"_id": 1, "at": DatetimeMS(10**15 + 1)}, {"_id": 2, "at": MOMENT}])
    documents = source.database["a"].with_options(CODEC)
    with NativeEngine().read(source, (), None, unwatched):
        pass
    dump = MongoServerSource(
        source, NativeEngine(), Selection((CollectionQuery("a", {"at": {"$gt": late}}),))
    )
    assert [held.documents for held in dump.summaries] == [1]
    assert documents.count_documents({"at": {"$gt": late}}) == 1


def test_a_query_operator_is_not_a_reference(source: DatabaseHandle) -> None:
    database = source.database
    database["names"].insert_many({"_id": n, "name": f"u{n}"} for n in range(20))
    database["a"].insert_many(
        [{"_id": 1, "to": re.compile("^u1")}, {"_id": 2, "to": "u7"}, {"_id": 3, "to": {"$gt": ""}}]
    )
    result = read(source, Selection(references=(Reference("a.to", "names.name"),)))["names"]
    assert ids(result) == [7]


def test_a_dbref_refers_to_its_own_collection(source: DatabaseHandle) -> None:
    database = source.database
    database["names"].insert_many({"_id": n} for n in range(4))
    database["a"].insert_many([{"_id": n, "to": DBRef("names" if n % 2 else "shops", n)} for n in range(4)])
    result = read(source, Selection(references=(Reference("a.to", "names._id"),)))["names"]
    assert ids(result) == [1, 3]


def test_a_temporarily_missing_collection_is_not_an_empty_one(source: DatabaseHandle) -> None:
    fill(source.database)
    dump = MongoServerSource(source, NativeEngine(), Selection((CollectionQuery("dogs", {"age": 1}),)))
    source.database["dogs"].rename("away")
    gone = pytest.raises(MonarchError, match="'dogs' of 'production' was dropped, renamed")
    with dump.pieces(unwatched) as pieces, gone:
        list(pieces)


def test_references_in_lists_documents_and_dbrefs(source: DatabaseHandle) -> None:
    database = source.database
    database["a"].insert_one(
        {"_id": 1, "to": [{"x": 1}, {"x": [2, 3]}, 7], "ref": DBRef("b.c", 4), "no": None}
    )
    database["b.c"].insert_many({"_id": n} for n in range(9))
    for field, found in (("to.x", [1, 2, 3]), ("to.0.x", [1]), ("ref", [4]), ("ref.$id", [4]), ("no", [])):
        result = read(source, Selection(references=(Reference(f"a.{field}", "b.c._id"),)))
        assert sorted(ids(result["b.c"])) == found, field


def test_ten_thousand_ids_and_more_than_fit_in_a_command(source: DatabaseHandle) -> None:
    database = source.database
    database["a"].insert_many({"_id": f"{n:05}" + "x" * 995, "n": n} for n in range(20_000))
    all_of_them = [document["_id"] for document in database["a"].find({}, {"_id": 1})]
    some = all_of_them[:10_000]
    assert len(read(source, Selection((CollectionQuery("a", {"_id": {"$in": some}}),)))["a"]) == 10_000
    result = read(source, Selection((CollectionQuery("a", {"_id": {"$in": [*all_of_them, *some]}}),)))["a"]
    assert sorted(ids(result)) == sorted(all_of_them)
    with pytest.raises(UsageError, match=r"The query of 'a' has 20,\d+,\d+ bytes; MongoDB accepts") as raised:
        read(source, Selection((CollectionQuery("a", {"other": {"$in": all_of_them}}),)))
    assert "several times" in (raised.value.hint or "")
    # Nearly as much as MongoDB accepts.
    almost = all_of_them[:16_500]
    assert (
        len(read(source, Selection((CollectionQuery("a", {"_id": {"$in": almost}, "n": {"$gte": 0}}),)))["a"])
        == 16_500
    )
    with pytest.raises(MonarchError, match="'production' rejected the query of 'a': unknown operator"):
        read(source, Selection((CollectionQuery("a", {"other": {"$in": almost}, "n": {"$gtt": 0}}),)))
    # As the hint of the error suggests.
    halves: list[Document] = [
        {"_id": {"$in": all_of_them[:9000]}, "n": {"$gte": 0}},
        {"_id": {"$in": all_of_them[8000:17_000]}},
    ]
    result = read(source, Selection(tuple(CollectionQuery("a", half) for half in halves)))["a"]
    assert sorted(ids(result)) == sorted(all_of_them[:17_000])


def test_references_of_different_types_that_mean_one_document(source: DatabaseHandle) -> None:
    """There are more than fit in one query: 5 and 5.0 are in different ones."""
    documents = source.database["a"]
    documents.insert_many({"_id": n, "to": n} for n in range(2500))
    documents.insert_many({"_id": f"{n}", "to": f"{n}{'x' * 1000}"} for n in range(2500))
    documents.insert_many({"_id": n, "to": float(n - 2500)} for n in range(2500, 5000))
    source.database["b"].insert_many({"_id": n} for n in range(2500))
    result = read(source, Selection(references=(Reference("a.to", "b._id"),)))["b"]
    assert sorted(ids(result)) == list(range(2500))


def test_a_capped_collection_keeps_its_order(source: DatabaseHandle) -> None:
    database = source.database
    database.create_collection("capped", capped=True, size=100_000)
    database["capped"].insert_many({"_id": -n, "n": n % 4} for n in range(50))
    for queries in (
        (CollectionQuery("capped", {"n": 1}),),
        (CollectionQuery("capped", {"n": 1}, limit=3), CollectionQuery("capped", {"_id": -2})),
    ):
        result = read(source, Selection(queries))["capped"]
        assert ids(result) == sorted(ids(result), reverse=True)


def test_a_time_series(source: DatabaseHandle) -> None:
    database = source.database
    database.create_collection("weather", timeseries={"timeField": "at", "metaField": "city"})
    database["weather"].insert_many(
        {"at": datetime(2014, 5, day, tzinfo=UTC), "city": city, "n": day}
        for day in range(1, 30)
        for city in "ab"
    )
    result = read(source, Selection((CollectionQuery("weather", {"city": "a", "n": {"$gt": 20}}),)))[
        "weather"
    ]
    assert sorted((one["city"], one["n"]) for one in result) == [("a", n) for n in range(21, 30)]
    # Complete, as stored in its buckets.
    assert "control" in read(source, Selection())["weather"][0]
    both = (CollectionQuery("weather", {"n": 1}, limit=1), CollectionQuery("weather", {"n": 2}))
    with pytest.raises(UsageError, match="is a time series: its documents have no"):
        read(source, Selection(both))
    with pytest.raises(UsageError, match="is a time series: its documents have no"):
        read(source, Selection((CollectionQuery("weather", sample=3),)))


@pytest.mark.parametrize(
    ("selection", "message", "hint"),
    [
        (
            Selection((CollectionQuery("dogz"),)),
            "dump_collection() names 'dogz', and 'production' has no such",
            "'dogs'",
        ),
        (
            Selection((CollectionQuery("system.js"),)),
            "names 'system.js': no subset includes a system collection",
            "Only a copy or a backup without a query set includes 'system.js'.",
        ),
        (
            Selection((CollectionQuery("system.buckets.weather"),)),
            "no subset includes a system collection",
            "Use 'weather', the time series itself.",
        ),
        (
            Selection(references=(Reference("dogs._id", "system.views.viewOn"),)),
            "follow() names 'system.views.viewOn': no subset includes",
            "MongoDB writes it by itself",
        ),
        (Selection(only=("hauses",)), "only() names 'hauses'", "'houses'"),
        (Selection(exclude=("owner",)), "exclude() names 'owner'", "'owners'"),
        (
            Selection(references=(Reference("dog._id", "houses.dog_id"),)),
            "follow() names 'dog._id', and",
            "'dogs'",
        ),
        (Selection(references=(Reference("dogs._id", "house.dog_id"),)), "'house.dog_id'", "'houses'"),
        (
            Selection(references=(Reference("young._id", "dogs._id"),)),
            "which is a view",
            "Use the collection that the view reads",
        ),
        (
            Selection(references=(Reference("dogs._id", "houses.dog_id"),), only=("owners",)),
            "follow() starts at 'dogs', but no document of it is selected",
            "self.dump_collection('dogs'",
        ),
        (Selection((CollectionQuery("young", {"age": 1}),)), "'young' is a view", "dogs"),
        (
            Selection((CollectionQuery("dogs", {"age": {"$gtt": 1}}),)),
            "'production' rejected the query of 'dogs': unknown",
            "Fix the query",
        ),
        (
            Selection((CollectionQuery("dogs", {"$where": 3}),)),
            "rejected the query of 'dogs'",
            "Fix the query",
        ),
        (
            Selection((CollectionQuery("dogs", {"age": object()}),)),
            "query of 'dogs' cannot be sent",
            "Fix the query",
        ),
        (
            Selection((CollectionQuery("dogs", {"age": 1 << 70}),)),
            "query of 'dogs' cannot be sent",
            "Fix the query",
        ),
        (
            Selection((CollectionQuery("dogs", {}, {"a": 1, "b": 0}),)),
            "rejected the query of 'dogs'",
            "Fix the query",
        ),
        (Selection((CollectionQuery("dogs", {}, {"_id": 0}),)), "changes or leaves out _id", "as it is"),
        (Selection((CollectionQuery("dogs", {}, {"_id.a": 1}),)), "changes or leaves out _id", "as it is"),
        (Selection((CollectionQuery("dogs", {}, {"_id": "$age"}),)), "changes or leaves out _id", "as it is"),
        (
            Selection((CollectionQuery("houses", {}, ["a"]),)),
            "leaves out 'dog_id', which the unique index 'dog_id_1'",
            "Include the field",
        ),
        (
            Selection((CollectionQuery("houses", {}, {"dog_id": 0}),)),
            "leaves out 'dog_id', which the",
            "Include the field",
        ),
        (
            Selection(references=(Reference("owners._id", "owners.boss_id"),)),
            "follow() goes from 'owners' to 'owners', but starts at no document",
            "self.dump_collection('owners'",
        ),
        (
            Selection(
                references=(
                    Reference("owners._id", "dogs.owner_id"),
                    Reference("dogs.owner_id", "owners._id"),
                )
            ),
            "follow() goes from 'owners' to 'dogs', but starts at no document",
            "self.dump_collection('owners'",
        ),
        (
            Selection((CollectionQuery("dogs", {}, ["a"]), CollectionQuery("dogs", {}, ["b"]))),
            "with different projections or once without",
            "same projection",
        ),
    ],
)
def test_invalid_selections(source: DatabaseHandle, selection: Selection, message: str, hint: str) -> None:
    fill(source.database)
    source.database["houses"].create_index("dog_id", unique=True)
    with pytest.raises(MonarchError) as raised:
        read(source, selection)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
    assert "\n" not in raised.value.message


def test_missing_ok(source: DatabaseHandle) -> None:
    fill(source.database)
    result = read(
        source,
        Selection((CollectionQuery("cats", {"a": 1}, missing_ok=True), CollectionQuery("dogs", {"_id": 1}))),
    )
    assert set(result) == {"dogs", "houses", "owners"}


def test_an_estimate_before_it_is_read(source: DatabaseHandle) -> None:
    fill(source.database)
    queries = (
        CollectionQuery("dogs", {"age": 1}),
        CollectionQuery("owners", {}, limit=3),
        CollectionQuery("houses", {"dog_id": -1}),
    )
    dump = MongoServerSource(source, NativeEngine(), Selection(queries))
    assert {held.name: held.documents for held in dump.summaries} == {
        "dogs": 5,
        "owners": 3,
        "houses": 0,
        "young": 0,
    }
    sizes = {held.name: held.bytes for held in MongoServerSource(source, NativeEngine()).summaries}
    assert dump.summaries[0].bytes == round(sizes["dogs"] / 6)


def test_a_subset_is_from_one_snapshot(replica_set: Server) -> None:
    with endpoint(replica_set) as source:
        fill(source.database)
        queries = (
            CollectionQuery("dogs", {"age": 1}),
            CollectionQuery("owners", {}, None, (("_id", 1),), 3),
            CollectionQuery("houses", sample=0.5),
        )
        selection = Selection(queries, (Reference("owners._id", "owners.boss_id"),))
        dump = MongoServerSource(source, NativeEngine(), selection)
        source.database["dogs"].update_many({}, {"$set": {"age": 1}})
        source.database["owners"].delete_many({"_id": {"$gt": 0}})
        source.database["houses"].insert_many({"_id": -n} for n in range(50))
        result = documents_of(dump)
        assert dump.one_snapshot
        assert ids(result["dogs"]) == [1, 8, 15, 22, 29]
        assert sorted(ids(result["owners"]))[:3] == [0, 1, 2]
        assert len(result["houses"]) == 15
        assert all(isinstance(one["_id"], str) for one in result["houses"])


def test_a_subset_without_a_snapshot_is_reported(source: DatabaseHandle) -> None:
    fill(source.database)
    dump = MongoServerSource(source, NativeEngine(), Selection((CollectionQuery("dogs", {"age": 1}),)))
    documents_of(dump)
    assert not dump.one_snapshot


def test_a_selected_collection_that_disappears(source: DatabaseHandle) -> None:
    fill(source.database)
    dump = MongoServerSource(source, NativeEngine(), Selection((CollectionQuery("dogs", {"age": -1}),)))
    source.database["dogs"].drop()
    with pytest.raises(MonarchError, match="'dogs' of 'production' was dropped"):
        documents_of(dump)


def test_a_failing_query_is_reported_with_its_collection(source: DatabaseHandle) -> None:
    fill(source.database)
    by_zero = {"$expr": {"$gt": [{"$divide": [1, {"$subtract": ["$age", "$age"]}]}, 1]}}
    with pytest.raises(MonarchError, match=r"'production' rejected the query of 'dogs': .*divide by zero"):
        read(source, Selection((CollectionQuery("dogs", by_zero),)))


def test_filters_are_shown_without_values(source: DatabaseHandle) -> None:
    fill(source.database)
    queries = (
        CollectionQuery(
            "dogs", {"name": {"$in": ["secret", "hush"]}, "$or": [{"age": 1}, {"b": {"$gt": MOMENT}}]}
        ),
        CollectionQuery("owners", {"_id": 1}, None, (("_id", -1),), 2),
    )
    filters = MongoServerSource(source, NativeEngine(), Selection(queries)).filters
    assert filters == (
        'dogs: {"name": {"$in": ["?"]}, "$or": [{"age": "?"}, {"b": {"$gt": "?"}}]}',
        'owners: {"_id": "?"} sort {"_id": -1} limit 2',
    )
    more = (
        CollectionQuery(
            "dogs",
            {"_id": {"hush": "secret"}, "list": {"$elemMatch": {"hush.x": {"$not": {"$gt": "secret"}}}}},
        ),
        CollectionQuery(
            "owners", {"$expr": {"$eq": ["$hush", "secret"]}, "name": {"$elemMatch": {"$in": ["secret"]}}}
        ),
    )
    assert MongoServerSource(source, NativeEngine(), Selection(more)).filters == (
        'dogs: {"_id": "?", "list": {"$elemMatch": {"hush.x": {"$not": {"$gt": "?"}}}}}',
        'owners: {"$expr": "?", "name": {"$elemMatch": {"$in": ["?"]}}}',
    )
