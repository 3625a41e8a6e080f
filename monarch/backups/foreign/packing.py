"""How a foreign archive is packed, by its first bytes: people rename files."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from monarch.backups.codecs import CODECS
from monarch.errors import DamagedError
from monarch.system.streams import Stream

# Bytes that tell what a file is: many small files of a folder fit into them.
HEAD = 64 << 10
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\3\4"
_EMPTY_ZIP = b"PK\5\6"
# Of a tar: the size of its blocks, and where a header has its magic bytes, its name and the size of the file.
_BLOCK, _MAGIC_AT = 512, 257
_NAME, _SIZE = slice(0, 100), slice(124, 136)
# The names in a zip follow this many bytes of a header, which has their lengths before them.
_ZIP_HEADER = 30


def packing_of(head: bytes) -> str:
    """Return "gz", "zst" or "zip"; empty if it is none of these."""
    if head.startswith(_GZIP):
        return "gz"
    if head.startswith(_ZSTD):
        return "zst"
    return "zip" if head.startswith((_ZIP, _EMPTY_ZIP)) else ""


def unpack_head(head: bytes) -> bytes:
    """Return the first bytes of what ``head`` is the beginning of, unpacked as far as it goes."""
    codec = CODECS.get(packing_of(head))
    if codec is None:
        return head
    found = b""
    stream = codec.decompress(io.BytesIO(head))
    try:
        while len(found) < HEAD and (part := stream.read(HEAD - len(found))):
            found += part
    except DamagedError:  # it is cut off, because it is only the head
        pass
    return found


def is_tar(plain: bytes) -> bool:
    """Whether unpacked bytes begin a tar."""
    return plain[_MAGIC_AT : _MAGIC_AT + 5] == b"ustar"


def names_in(head: bytes, plain: bytes) -> list[str]:
    """Return the names of the first files in a zip that begins with ``head``, or in a tar with ``plain``."""
    if packing_of(head) == "zip":
        return list(_names_in_zip(head))
    return list(_names_in_tar(plain)) if is_tar(plain) else []


def _names_in_zip(head: bytes) -> Iterator[str]:
    place = head.find(_ZIP)
    while 0 <= place <= len(head) - _ZIP_HEADER:
        (length,) = struct.unpack_from("<H", head, place + 26)
        yield head[place + _ZIP_HEADER :][:length].decode(errors="replace")
        place = head.find(_ZIP, place + 4)


def _names_in_tar(plain: bytes) -> Iterator[str]:
    place = 0
    while len(header := plain[place : place + _BLOCK]) == _BLOCK and is_tar(header):
        yield header[_NAME].rstrip(b"\0").decode(errors="replace")
        try:
            size = int(header[_SIZE].strip(b" \0") or b"0", 8)
        except ValueError:  # a number that is too large for this form
            return
        place += _BLOCK + -(-size // _BLOCK) * _BLOCK


class Whole(Stream):
    """A stream with its ``head``, which was read to look at it, before the rest."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        return self._head.read(size) or self._rest.read(size)


def read_head(stream: Stream) -> bytes:
    """Read the first `HEAD` bytes of ``stream``, or all if it is shorter."""
    head = b""
    while len(head) < HEAD and (part := stream.read(HEAD - len(head))):
        head += part
    return head
