"""Metadata of any version of mongodump and of any server, as a server of today accepts it."""

from __future__ import annotations

from dataclasses import replace

from monarch.databases.mongo.archive import ArchiveError
from monarch.databases.mongo.archive.metadata import read_metadata, shorten_error
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.old_options import modern_indexes, modern_options, unwrapped


def read_old_metadata(name: str, text: str, stated_kind: object = None) -> Collection:
    """Return the collection ``name`` that the metadata ``text`` describes, with modern options and indexes.

    :param stated_kind: the kind that an archive states beside the metadata; None if it states none.
    :raises ArchiveError: if the text is not valid metadata; its message is only the reason.
    """
    try:
        collection = read_metadata(name, text, stated_kind)
        options, indexes = dict(collection.options), list(collection.indexes)
        if "$numberInt" not in text:  # version 2 writes every number like this, and every index has one
            options, indexes = unwrapped(options), unwrapped(indexes)
        options = modern_options(options)
        if collection.kind == "timeseries" and not isinstance(options.get("timeseries"), dict):
            raise ArchiveError("a time series without its fields")
        modern = modern_indexes(indexes, options) if collection.kind != "view" else ()
    except ArchiveError:
        raise
    except Exception as error:  # json_util raises all kinds of errors for malformed Extended JSON
        raise ArchiveError(shorten_error(error)) from error
    return replace(collection, options=options, indexes=modern)
