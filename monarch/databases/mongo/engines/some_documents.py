"""Read some documents of a collection as bytes, to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from monarch.databases.mongo.connection.handle import DatabaseHandle


def read_some(database: DatabaseHandle, name: str, number: int | None) -> Iterator[bytes]:
    """Yield documents of the collection ``name``, some at a time and concatenated.

    :param number: how many: random ones; None for all of them.
    :raises ServerError: if they cannot be read.
    """
    documents = database.collection(name)
    with database.explained():
        if number is None or documents.estimated_document_count() <= number:
            replies: Any = documents.find_raw_batches({})
        else:
            replies = documents.aggregate_raw_batches([{"$sample": {"size": number}}], allowDiskUse=True)
        with replies:
            for reply in replies:
                yield cast(bytes, reply)
