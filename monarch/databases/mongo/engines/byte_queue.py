"""A queue between threads that limits the bytes of waiting and unfinished items."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class Stopped(Exception):
    """The other side has stopped. Threads that get this end without an error."""


class ByteQueue(Generic[T]):
    """A queue that holds at most ``limit`` bytes, or one item that is larger.

    Any number of threads may put and take. The first failure of any of them is raised in all.
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

        :raises Stopped: if nobody takes items any more.
        """
        with self._changed:
            while self._held and self._held + size > self._limit and not self._failure:
                self._changed.wait()
            self.raise_failure()
            self._held += size
            self._items.append((item, size))
            self._changed.notify_all()

    def take(self) -> Iterator[T]:
        """Take items until the queue is closed and empty.

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
        """Raise the failure of any of the threads, if there is one."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the queue after the items that are in it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Make every put and take raise ``error``, unless an earlier failure is raised already."""
        with self._changed:
            self._failure = self._failure or error
            self._items.clear()
            self._changed.notify_all()


@contextmanager
def gather(
    items: Iterable[S], work: Callable[[S, ByteQueue[T]], None], workers: int, limit: int
) -> Iterator[Iterator[T]]:
    """Call ``work`` for each of ``items`` in up to ``workers`` threads, and yield what these put in a queue.

    The queue holds up to ``limit`` bytes. Leaving the context stops what still runs.
    """
    todo = deque(items)
    channel: ByteQueue[T] = ByteQueue(limit)
    left = len(todo)
    lock = threading.Lock()

    def run_all() -> None:
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
    threads = start_workers(run_all, min(workers, left), channel)
    try:
        yield channel.take()
    finally:
        channel.fail(Stopped())
        for thread in threads:
            thread.join()


def start_workers(work: Callable[[], None], number: int, channel: ByteQueue[Any]) -> list[threading.Thread]:
    """Start threads that call ``work``. An exception in one of them fails the queue."""

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
