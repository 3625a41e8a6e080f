"""Documents on their way from a source to a sink, never decoded.

A source, of a server or an archive, yields pieces, and a sink takes them. The pieces of one collection are in
order; those of several may be mixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

from bson import Timestamp

# Each BSON document begins with its length, and the shortest is that and a zero byte. The server lets its
# own documents, such as buckets of a time series, be 16 KiB longer than those of people.
LENGTH = Struct("<i")
SHORTEST = 5
LONGEST = (16 << 20) + (16 << 10)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of ``collection``, ``count`` of them, concatenated in ``payload``."""

    collection: str
    payload: bytes
    count: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of ``collection``. ``at`` is the time of its snapshot, if it was read from one."""

    collection: str
    at: Timestamp | None = field(default=None, compare=False)


Piece = Batch | End


def measure_documents(data: bytes, start: int) -> tuple[int, int]:
    """Skip whole documents in ``data`` from ``start``; return where the last of them ends, and their number.

    Stops before bytes that are not a whole document: one that is cut off, or has an impossible length.
    """
    unpack, shortest, longest = LENGTH.unpack_from, SHORTEST, LONGEST
    size, count = len(data), 0
    last = size - shortest
    while start <= last:
        (length,) = unpack(data, start)
        if length < shortest or length > longest:
            break
        end = start + length
        if end > size or data[end - 1]:
            break
        start = end
        count += 1
    return start, count


def split(payload: bytes) -> list[bytes]:
    """Return the documents of ``payload``.

    :raises ValueError: if they do not fit into it exactly.
    """
    return pick(payload, 0, 1)[0]


def pick(payload: bytes, first: int, step: int) -> tuple[list[bytes], int]:
    """Return each ``step``-th document of ``payload`` from number ``first`` on, and how many it has.

    :raises ValueError: if they do not fit into it exactly.
    """
    unpack, shortest = LENGTH.unpack_from, SHORTEST
    documents: list[bytes] = []
    append = documents.append
    start, size, count, following = 0, len(payload), 0, first
    last = size - shortest
    while start <= last:
        (length,) = unpack(payload, start)
        end = start + length
        if length < shortest or end > size or payload[end - 1]:
            break
        if count == following:
            append(payload[start:end])
            following += step
        start = end
        count += 1
    if start != size:
        raise ValueError(f"no whole document at byte {start} of {size}")
    return documents, count
