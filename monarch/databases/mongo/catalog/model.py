"""The description of a collection, without its documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

from monarch.databases.mongo.catalog.query import Query

BUCKETS = "system.buckets."

# Decoding a catalog with this codec and encoding it again loses nothing: dates outside of Python's years
# are kept, and the bytes of a UUID do not change.
CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)


@dataclass(frozen=True)
class Collection:
    """A collection, view or time series, without its documents.

    ``kind`` is "collection", "view" or "timeseries". ``indexes`` are those of
    listIndexes, including that of ``_id``, without ``ns``. With ``as_documents`` a time series is transferred
    as documents, not as the buckets in which the server stores them. ``documents`` and ``bytes`` are the
    server's counts; for a time series they count buckets. With a ``query`` only the documents that match it
    are transferred and counted; None selects all. ``renamed`` is its name in the target, if
    that is another one.
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
    renamed: str | None = None

    @property
    def new_name(self) -> str:
        """Its name in the target of a transfer."""
        return self.name if self.renamed is None else self.renamed

    @property
    def data_name(self) -> str:
        """The name of the collection that stores its documents."""
        if self.kind == "timeseries" and not self.as_documents:
            return BUCKETS + self.name
        return self.name
