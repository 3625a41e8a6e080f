"""A bounded queue between threads: what is in it and what is being worked on together stay small."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The other side has gone away; whoever hears this ends quietly."""


class Channel(Generic[T]):
    """A queue that holds so many ``bytes`` at most, or one item where that is larger.

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
        """Add an item of so many bytes, once there is room for it.

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

        An item counts as held until the next one is asked for, so that work under way is bounded too.
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
