"""A bounded queue between threads: what is in it and what is being worked on together stay small."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Stopped(Exception):
    """The other side has gone away; whoever hears this ends quietly."""


class ByteQueue(Generic[T]):
    """A queue that holds at most ``bytes``, or one item that is larger.

    Any number of threads may put and take. The first failure of any of them reaches all.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._items: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None

    def put(self, item: T, size: int) -> None:
        """Wait for room, then add an item of that many bytes.

        :raises Stopped: if nobody wants any more.
        """
        with self._changed:
            while self._held and self._held + size > self._limit and not self._failure:
                self._changed.wait()
            self.raise_failure()
            self._held += size
            self._items.append((item, size))
            self._changed.notify_all()

    def take(self) -> Iterator[T]:
        """Take items until the channel is closed and empty.

        An item counts as held until the next one is requested, so that unfinished work is bounded too.
        """
        while True:
            with self._changed:
                while not self._items and not self._closed and not self._failure:
                    self._changed.wait()
                self.raise_failure()
                if not self._items:
                    return
                item, size = self._items.popleft()
            try:
                yield item
            finally:
                del item
                with self._changed:
                    self._held -= size
                    self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raise what any of the threads failed of, if one did."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Everybody who puts or takes raises ``error`` from now on, unless an earlier one was there."""
        with self._changed:
            self._failure = self._failure or error
            self._items.clear()
            self._changed.notify_all()


@contextmanager
def gather(
    items: Iterable[S], work: Callable[[S, ByteQueue[T]], None], workers: int, limit: int
) -> Iterator[Iterator[T]]:
    """What ``work`` puts into a channel of ``limit`` bytes for each of ``items``, by so many threads at once.

    The context's end stops what still runs.
    """
    todo = deque(items)
    channel: ByteQueue[T] = ByteQueue(limit)
    left = len(todo)
    lock = threading.Lock()

    def work_off() -> None:
        nonlocal left
        while True:
            with lock:
                if not todo:
                    return
                item = todo.popleft()
            work(item, channel)
            with lock:
                left -= 1
                if not left:
                    channel.close()

    if not todo:
        channel.close()
    threads = start_workers(work_off, min(workers, left), channel)
    try:
        yield channel.take()
    finally:
        channel.fail(Stopped())
        for thread in threads:
            thread.join()


def start_workers(work: Callable[[], None], number: int, channel: ByteQueue[Any]) -> list[threading.Thread]:
    """Threads that do ``work``; what one of them raises fails the channel."""

    def guarded() -> None:
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:
            channel.fail(error)

    threads = [threading.Thread(target=guarded, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads
