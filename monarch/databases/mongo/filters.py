"""A query as somebody writes it, in Python, as the filter that the server gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from pymongo.command_cursor import CommandCursor
from pymongo.cursor import Cursor

from monarch.databases.mongo.catalog import CODEC
from monarch.databases.mongo.endpoint import Endpoint
from monarch.databases.selection import Wanted
from monarch.errors import UsageError


def as_bson(wanted: Wanted, source: Endpoint) -> dict[str, Any]:
    """The query of ``wanted``, with every value as BSON knows it.

    A cursor stands for the ``_id`` of its documents; what else Python counts as some values, for a list.

    :raises UsageError: if there is a value that BSON does not know.
    """
    try:
        with source.explained():
            listed = _listed(wanted.query, wanted.collection)
        encoded = bson.encode(listed, codec_options=source.database.codec_options)
    except (bson.errors.BSONError, OverflowError, TypeError, ValueError, RecursionError) as error:
        words = " ".join(str(error).split())[:200]
        raise UsageError(
            f"The query of {wanted.collection!r} cannot be sent: {words}", "Mend it in the query set."
        ) from error
    return bson.decode(encoded, CODEC)


def _listed(value: Any, name: str, *, in_list: bool = False) -> Any:
    """``value``, which stands in the query of ``name``, with lists where BSON has no other word."""
    if isinstance(value, Cursor | CommandCursor):
        ids = list(_ids(value, name))
        return ids if in_list else {"$in": ids}
    if isinstance(value, RawBSONDocument):
        return value
    if isinstance(value, Mapping):
        return SON(
            (key, _listed(inner, name, in_list=key in ("$in", "$nin", "$all")))
            for key, inner in value.items()
        )
    if isinstance(value, Set | Iterator | ValuesView):
        value = list(value)
    if isinstance(value, list | tuple):
        return [_listed(inner, name) for inner in value]
    return value


def _ids(cursor: Cursor[Any] | CommandCursor[Any], name: str) -> Iterator[Any]:
    """Of all its documents, also of those that somebody has looked at already, where that is possible."""
    again = cursor.clone() if isinstance(cursor, Cursor) else cursor
    for document in again:
        if "_id" not in document:
            raise UsageError(
                f"A cursor in the query of {name!r} finds documents that have no _id.",
                "It stands for these. Leave them in its projection.",
            )
        yield document["_id"]
