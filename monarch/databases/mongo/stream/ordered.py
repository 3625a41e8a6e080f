"""Change batches in several threads, and keep their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from monarch.databases.mongo.stream.batches import Batch, End, Piece

# Bytes and batches that were read, and are not passed on yet.
_MOST_BYTES, _MOST_BATCHES = 6 << 20, 6
# How often a wait for a batch calls `alive`, in seconds.
_LOOK_EVERY = 2.0


@contextmanager
def change_batches(
    pieces: Iterator[Piece], change: Callable[[Batch], Batch], alive: Callable[[], None]
) -> Iterator[Iterator[Piece]]:
    """Yield ``pieces`` in their order, each batch as ``change`` returns it, called in several threads.

    ``alive`` is called regularly while a batch is waited for. Leaving the context begins no other batch, and
    does not wait for those that are under way.
    """
    # One more than there are cores: it waits for a process that masks, or gets the next batch ready.
    pool = ThreadPoolExecutor((os.cpu_count() or 1) + 1, "transform")
    try:
        yield _in_order(pieces, lambda batch: pool.submit(change, batch), alive)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_order(
    pieces: Iterator[Piece], begin: Callable[[Batch], Future[Batch]], alive: Callable[[], None]
) -> Iterator[Piece]:
    waiting: deque[tuple[End | Future[Batch], int]] = deque()
    held = 0
    for piece in pieces:
        size = len(piece.payload) if isinstance(piece, Batch) else 0
        waiting.append((begin(piece) if isinstance(piece, Batch) else piece, size))
        held += size
        while waiting and (held > _MOST_BYTES or len(waiting) > _MOST_BATCHES or _is_done(waiting[0][0])):
            first, size = waiting.popleft()
            held -= size
            yield _result(first, alive)
    for first, _ in waiting:
        yield _result(first, alive)


def _is_done(piece: End | Future[Batch]) -> bool:
    return isinstance(piece, End) or piece.done()


def _result(piece: End | Future[Batch], alive: Callable[[], None]) -> Piece:
    if isinstance(piece, End):
        return piece
    while True:
        try:
            return piece.result(_LOOK_EVERY)
        except TimeoutError:
            if piece.done():  # it is what the change has raised
                raise
            alive()
