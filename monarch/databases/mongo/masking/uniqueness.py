"""Unique indexes that masked documents break."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from monarch.databases.mongo.sources.base import MongoSource
from monarch.errors import ServerError
from monarch.privacy.rules import MaskingError

_DUPLICATE = "E11000"
_INDEX = re.compile(r" index: (?:\S+\.\$)?(\S+?)(?: dup key|[\s,;]|$)")
# The second one is in messages of mongorestore.
_COLLECTION = re.compile(r"(?:a document|the indexes) of '([^']*)'|collection: [^\s.]+\.(\S+) index: ")


@contextmanager
def blame_masks(source: MongoSource) -> Iterator[None]:
    """Say of a unique index that cannot be built, or filled, that the masks of ``source`` are the reason.

    :raises MaskingError: instead of the server's error about a duplicate key, if documents were masked.
    """
    try:
        yield
    except ServerError as error:
        if not source.is_transformed or _DUPLICATE not in error.message:
            raise
        index, collection = _INDEX.search(error.message), _COLLECTION.search(error.message)
        named = f" {index[1]!r}" if index else ""
        of = f" of {(collection[1] or collection[2])!r}" if collection else ""
        raise MaskingError(
            f"The unique index{named}{of} cannot hold the masked documents: different values have the same "
            "mask.",
            "In migrations/privacy.py, give its fields masks that keep values apart, such as "
            "email(unique=True).",
        ) from error
