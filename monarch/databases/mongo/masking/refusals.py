"""What a server refuses because documents were masked: unique indexes, and documents themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from monarch.databases.mongo.sources.base import MongoSource
from monarch.errors import ServerError
from monarch.privacy.rules import MaskingError

_DUPLICATE = "E11000"
_REFUSED = " refused a document of "
_MAY_BE_MASKS = (
    "Masks may be the reason: see which values the target demands, and change the rules in "
    "migrations/privacy.py. To write what a validator refuses, the user also needs the role dbAdmin."
)
_INDEX = re.compile(r" index: (?:\S+\.\$)?(\S+?)(?: dup key|[\s,;]|$)")
# The second one is in messages of mongorestore.
_COLLECTION = re.compile(r"(?:a document|the indexes) of '([^']*)'|collection: [^\s.]+\.(\S+) index: ")


@contextmanager
def blame_masks(source: MongoSource) -> Iterator[None]:
    """Say of what a server refuses that the masks of ``source`` are, or may be, the reason.

    :raises MaskingError: if documents were masked, and a unique index cannot be built or filled.
    :raises ServerError: if it refuses a masked document, which a validator or a time series may do.
    """
    try:
        yield
    except ServerError as error:
        if not source.is_transformed:
            raise
        if _REFUSED in error.message and _DUPLICATE not in error.message:
            raise type(error)(error.message, _MAY_BE_MASKS) from error
        if _DUPLICATE not in error.message:
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
