"""A store that fails, cuts or stalls on request, for tests of the code that uses stores.

Each call has a kind: prepare, create, write, finish, give_up, open, read, list, delete. Without faults it
behaves like the store that it wraps. Failures keep the contract of stores too: a failed upload leaves
nothing, unless `give_up` fails as well.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from monarch.errors import StoreError
from monarch.stores.base import Store, StoredFile, Upload
from monarch.system.streams import Stream

SECONDS = 60
FOREVER = float("inf")


@dataclass
class Stall:
    """A call that waits for `go_on`. ``reached`` is set when it begins to wait."""

    reached: threading.Event = field(default_factory=threading.Event)
    _goes_on: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        self._goes_on.set()

    def wait(self) -> None:
        self.reached.set()
        assert self._goes_on.wait(SECONDS), "`go_on` was not called in time."


@dataclass(frozen=True)
class _Fault:
    """A fault of the calls of a kind, or of all calls for None, from number ``first`` to ``last``."""

    kind: str | None
    first: int
    last: float
    error: BaseException | None = None
    lost: bool = False
    stall: Stall | None = None


class Faulty(Store):
    """``store`` with faults. ``calls`` has the kinds of all calls, ``failed`` those of calls with a fault."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[str] = []
        self.failed: list[str] = []
        self._counts: Counter[str | None] = Counter()
        self._faults: list[_Fault] = []
        self._room: dict[str, int] = {}
        self._lock = threading.Lock()

    def fail(
        self,
        kind: str,
        at: int = 1,
        *,
        error: BaseException | None = None,
        lost: bool = False,
        permanent: bool = False,
    ) -> None:
        """Let the call ``at`` of this ``kind`` fail, counted from now; with ``permanent`` all later ones too.

        It raises ``error``, or a `StoreError`. With ``lost`` the work is done, and only the answer fails.
        """
        first = self._counts[kind] + at
        self._faults.append(_Fault(kind, first, FOREVER if permanent else first, error, lost))

    def fail_all(self, at: int = 1) -> None:
        """Let all calls of every kind fail from number ``at`` on, counted from now."""
        self._faults.append(_Fault(None, self._counts[None] + at, FOREVER))

    def cut(self, kind: str, after: int) -> None:
        """Let "write" or "read" fail ``after`` this many bytes, and "list" after this many names."""
        self._room[kind] = after

    def stall(self, kind: str, at: int = 1) -> Stall:
        """Let a call wait before its work."""
        number, stall = self._counts[kind] + at, Stall()
        self._faults.append(_Fault(kind, number, number, stall=stall))
        return stall

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self._room.clear()

    @property
    def place(self) -> str:
        return self.store.place

    def prepare(self) -> str | None:
        with self._called("prepare"):
            return self.store.prepare()

    def create(self, name: str) -> Upload:
        with self._called("create"):
            return _FaultyUpload(self, name, self.store.create(name))

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        with self._called("open"):
            opened = self.store.open(name, start)
        with opened as stream:
            yield _FaultyStream(self, stream)

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        with self._called("list"):
            found = self.store.list(prefix)
        for stored in found:
            self._passed("list", self._left("list", 1))
            yield stored

    def delete(self, name: str) -> None:
        with self._called("delete"):
            self.store.delete(name)

    def discard(self, name: str) -> None:
        with self._called("discard"):
            self.store.discard(name)

    @contextmanager
    def _called(self, kind: str) -> Iterator[None]:
        """Surround the work of a call; raise its fault before it, or after it if the answer is lost."""
        with self._lock:
            self.calls.append(kind)
            self._counts.update((kind, None))
            faults = [
                fault
                for fault in self._faults
                if fault.kind in (kind, None) and fault.first <= self._counts[fault.kind] <= fault.last
            ]
            self.failed += [kind] * bool(faults)
        for fault in faults:
            if fault.stall:
                fault.stall.wait()
        failing = next((fault for fault in faults if not fault.stall), None)
        if failing and not failing.lost:
            raise failing.error or self._failed(kind)
        yield
        if failing:
            raise failing.error or self._failed(kind)

    def _left(self, kind: str, requested: int) -> int:
        """Return how much of ``requested`` may pass before the cut.

        :raises StoreError: if nothing may pass.
        """
        left = min(requested, self._room.get(kind, requested))
        if requested and not left:
            self.failed.append(kind)
            raise self._failed(kind)
        return left

    def _passed(self, kind: str, amount: int) -> None:
        if kind in self._room:
            self._room[kind] -= amount

    def _failed(self, kind: str) -> StoreError:
        return StoreError(f"{self.place} has failed in {kind}, as the test requires.", "Add no fault.")


class _FaultyUpload(Upload):
    def __init__(self, faulty: Faulty, name: str, upload: Upload) -> None:
        self._faulty = faulty
        self._name = name
        self._upload = upload
        self._finished = self._answered = False

    def write(self, data: bytes, /) -> None:
        with self._faulty._called("write"):
            rest = data
            while rest:
                some = rest[: self._faulty._left("write", len(rest))]
                self._upload.write(some)
                self._faulty._passed("write", len(some))
                rest = rest[len(some) :]

    def finish(self) -> None:
        with self._faulty._called("finish"):
            self._upload.finish()
            self._finished = True
        self._answered = True

    def give_up(self) -> None:
        if self._answered:
            return
        with suppress(StoreError), self._faulty._called("give_up"):
            if self._finished:  # but the answer was lost
                self._faulty.store.delete(self._name)
            self._upload.give_up()


class _FaultyStream(Stream):
    def __init__(self, faulty: Faulty, stream: Stream) -> None:
        self._faulty = faulty
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        with self._faulty._called("read"):
            data = self._stream.read(self._faulty._left("read", size))
            self._faulty._passed("read", len(data))
            return data
