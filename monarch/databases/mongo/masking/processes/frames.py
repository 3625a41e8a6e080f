"""What monarch and the processes that mask send to each other: frames, each with its length."""

from __future__ import annotations

from struct import Struct
from typing import IO

_LENGTH = Struct("<I")
# The first byte of an answer.
MASKED, FAILED = b"m", b"f"


def write_frame(stream: IO[bytes], *parts: bytes) -> None:
    """Write ``parts`` as one frame, and flush."""
    stream.write(_LENGTH.pack(sum(map(len, parts))))
    for part in parts:
        stream.write(part)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame; None if the stream ends before the frame does."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    frame = stream.read(length)
    return frame if len(frame) == length else None
