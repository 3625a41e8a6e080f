"""Write the blocks of data that follow the table of contents of an archive of pg_dump."""

from __future__ import annotations

from collections.abc import Iterable

from monarch.system.streams import Sink

_DATA = b"\x01"
# pg_dump writes one chunk a row. Few long ones are as good, and quicker to write and to read.
_CHUNK = 256 << 10
# What ends the rows of a table, which psql needs if pg_restore writes a script.
_END_OF_ROWS = b"\\.\n\n\n"


def write_rows(sink: Sink, integer_size: int, dump_id: int, rows: Iterable[bytes]) -> int:
    """Write the block ``dump_id`` with ``rows``, which are in COPY's text format; return their bytes.

    :param rows: bytes of whole or partial rows, each row with its newline.
    """
    sink.write(_DATA + _integer(dump_id, integer_size))
    size = 0
    chunk = bytearray()
    for row in rows:
        chunk += row
        size += len(row)
        if len(chunk) >= _CHUNK:
            sink.write(_integer(len(chunk), integer_size) + chunk)
            chunk.clear()
    chunk += _END_OF_ROWS
    sink.write(_integer(len(chunk), integer_size) + chunk + _integer(0, integer_size))
    return size


def _integer(value: int, size: int) -> bytes:
    return b"\0" + value.to_bytes(size, "little")
