"""Write the blocks of data that follow the table of contents of an archive of pg_dump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_DATA = b"\x01"
# pg_dump writes one chunk a row. Few long ones are as good, and quicker to write and to read.
_CHUNK = 256 << 10
# What ends the rows of a table, which psql needs if pg_restore writes a script.
_END_OF_ROWS = b"\\.\n\n\n"


def rows_as_block(integer_size: int, dump_id: int, rows: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of the block ``dump_id`` with ``rows``, which are in COPY's text format.

    :param rows: each row with its newline.
    """
    yield _DATA + _integer(dump_id, integer_size)
    chunk = bytearray()
    for row in rows:
        if len(row) >= _CHUNK:  # a long row is not copied
            if chunk:
                yield _integer(len(chunk), integer_size) + chunk
                chunk.clear()
            yield _integer(len(row), integer_size)
            yield row
            continue
        chunk += row
        if len(chunk) >= _CHUNK:
            yield _integer(len(chunk), integer_size) + chunk
            chunk.clear()
    chunk += _END_OF_ROWS
    yield _integer(len(chunk), integer_size) + chunk + _integer(0, integer_size)


def _integer(value: int, size: int) -> bytes:
    return b"\0" + value.to_bytes(size, "little")
