"""Compare two databases: everything that must be equal after a copy, and where they differ.

Tests on 6.0.5 showed what ``dbHash`` covers: plain, clustered and capped collections, ``system.js``,
``system.buckets.*`` and ``system.views``, but not views, time series by their own name, ``system.profile``
and ``tmp.mr.*``. It is MD5 over the documents' bytes in the order of ``_id``: it covers types, the order of
fields and duplicate fields, but not the natural order of a capped collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bson import decode, encode, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from monarch.databases.history import OPERATIONS, Action

LOSSLESS: CodecOptions[dict[str, Any]] = CodecOptions(
    dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
# The ids in system.views contain the database's name, so views are compared by listCollections.
LEFT_OUT = ("system.views", "system.profile")

JOURNAL = "mongo_migration_journal"
OF_THE_SOURCE = {"action": {"$nin": [one.value for one in (*OPERATIONS, Action.RAW)]}, "replaced": None}

Description = Mapping[str, Mapping[str, Any]]


def describe(database: Database[Any], *, buckets: bool = True) -> Description:
    """Return everything that must be equal after a copy, by collection, without monarch's own collections.

    Without ``buckets``, time series are described by their documents only: the server packs them into new
    buckets when documents are inserted one by one.
    """
    database = database.with_options(LOSSLESS)
    entries = {entry["name"]: entry for entry in _all_of(database, "listCollections", 1)}
    hashes = database.command("dbHash")["collections"]
    described: dict[str, dict[str, Any]] = {}
    for name, entry in entries.items():
        if name in LEFT_OUT or name.startswith("monarch_"):
            continue
        if name == JOURNAL and not database[name].count_documents(OF_THE_SOURCE):
            continue  # only what copies have recorded
        found = described[name] = _shape(database, entry)
        if name == JOURNAL:
            found["documents"] = [_text(one) for one in database[name].find(OF_THE_SOURCE).sort("_id")]
            continue
        if entry["type"] != "collection":
            unordered = _root(entries, name) == "timeseries"
            found["documents"] = sorted(_documents(database, name, unordered=unordered))
        elif buckets or not name.startswith("system.buckets."):
            found |= {"count": database[name].count_documents({}), "dbHash": hashes.get(name)}
            if entry["options"].get("capped"):
                found["documents"] = list(_documents(database, name))
    return described


def assert_equal(one: Description, other: Description) -> None:
    """Compare two descriptions; the error names every difference by collection."""
    found = [f"{name!r} is only in the first" for name in sorted(one.keys() - other.keys())]
    found += [f"{name!r} is only in the second" for name in sorted(other.keys() - one.keys())]
    for name in sorted(one.keys() & other.keys()):
        found += [f"{name!r}: {line}" for line in _differences(one[name], other[name])]
    if found:
        raise AssertionError("\n".join(("The databases differ:", *found)))


def _shape(database: Database[Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A collection's kind, options and indexes."""
    found: dict[str, Any] = {"kind": entry["type"]}
    found |= {f"option {key}": _text(value) for key, value in entry["options"].items()}
    if entry["type"] != "view":
        for index in _all_of(database, "listIndexes", entry["name"]):
            fields = {key: value for key, value in sorted(index.items()) if key != "ns"}
            found[f"index {index['name']!r}"] = _text(fields)
    return found


def _all_of(database: Database[Any], command: str, value: object) -> list[Mapping[str, Any]]:
    """Return the entries that a command lists. pymongo's own methods decode differently and lose dates."""
    reply = database.command(command, value, cursor={"batchSize": 10_000}, codec_options=LOSSLESS)
    assert reply["cursor"]["id"] == 0
    found: list[Mapping[str, Any]] = reply["cursor"]["firstBatch"]
    return found


def _root(entries: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """Return the kind of the collection on which a view is finally based, or None if it is missing."""
    while name in entries:
        if entries[name]["type"] != "view":
            return str(entries[name]["type"])
        name = entries[name]["options"]["viewOn"]
    return None


def _documents(database: Database[Any], name: str, *, unordered: bool = False) -> Iterator[bytes]:
    """Yield the documents as bytes, in natural order.

    A time series does not keep the order of a document's fields. With ``unordered`` the fields are sorted.
    """
    raw = CodecOptions(RawBSONDocument, uuid_representation=UuidRepresentation.UNSPECIFIED)
    for document in database[name].with_options(raw).find():
        content = bytes(document.raw)
        yield encode(dict(sorted(decode(content, LOSSLESS).items()))) if unordered else content


def _text(value: Any) -> str:
    """Return a text that distinguishes 1, 1.0 and a long 1, and orders of fields."""
    return json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS, ensure_ascii=False)


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys((*one, *other)):
        first, second = one.get(key), other.get(key)
        if first == second:
            continue
        if isinstance(first, list) and isinstance(second, list):
            yield _different_documents(first, second)
        elif first is None or second is None:
            yield f"{key} is only in the {'second' if first is None else 'first'}: {second or first}"
        else:
            yield f"{key} is {first} in the first, {second} in the second"


def _different_documents(one: list[bytes], other: list[bytes]) -> str:
    counts = f"{len(one)} and {len(other)} documents"
    if sorted(one) == sorted(other):
        return f"{counts}, the same in another order"
    lines = [counts]
    for where, documents, others in (("first", one, set(other)), ("second", other, set(one))):
        alone = [document for document in documents if document not in others]
        if alone:
            # Those of a journal are texts already, without what differs in each run.
            shown = decode(alone[0], LOSSLESS) if isinstance(alone[0], bytes) else alone[0]
            lines.append(f"{len(alone)} only in the {where}, such as {str(shown)[:500]}")
    return "; ".join(lines)
