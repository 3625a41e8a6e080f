"""What a database says of its collections, beside their documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

from monarch.databases.mongo.catalog.query import Query

BUCKETS = "system.buckets."

# Nothing is lost by decoding a catalog so and encoding it again: a date beyond Python's years stays one,
# and no UUID changes its bytes.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)


@dataclass(frozen=True)
class Collection:
    """A collection, view or time series, without its documents.

    ``kind`` is "collection", "view" or "timeseries". ``indexes`` are as listIndexes gives them, that of
    ``_id`` included, without ``ns``. With ``as_documents`` a time series travels as the documents that a
    reader of it sees, not as the buckets in which the server keeps them. ``documents`` and ``bytes`` are
    what the server last counted, of a time series its buckets. With a ``query`` no others travel, and these
    are counted; None stands for all of them.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    indexes: tuple[Mapping[str, Any], ...]
    uuid: bytes | None = None
    as_documents: bool = False
    documents: int = 0
    bytes: int = 0
    query: Query | None = None

    @property
    def data_name(self) -> str:
        """The name under which its documents lie."""
        if self.kind == "timeseries" and not self.as_documents:
            return BUCKETS + self.name
        return self.name
