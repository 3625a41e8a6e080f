"""Backups that are being read: they are not pruned. A small file beside the archive says so.

Who reads a backup writes ``ARCHIVE.reading.ID`` before, a new one every few minutes, and removes it after.
One that nobody has renewed for longer is left by a dead reader, and counts no more; pruning removes it after
a day. Who may only read the store reads without such a file.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from monarch.backups.names import READING, split_note_name
from monarch.errors import MonarchError
from monarch.stores.base import Store, StoredFile

# In seconds, and how old the file of a living reader is at most.
_RENEW_EVERY = 300.0
_LONGEST = timedelta(minutes=15)
# How old a file is that is removed: clocks may differ by hours.
_DEAD = timedelta(days=1)


def is_reader_alive(mark: StoredFile) -> bool:
    """Whether the reader that wrote the file ``mark`` may still read."""
    return datetime.now(UTC) - mark.modified < _LONGEST


def sweep_marks(store: Store, now: datetime | None = None) -> None:
    """Remove the files that dead readers have left, and unfinished ones of dead protectors.

    What cannot be removed stays: it does no harm.
    """
    before = (now or datetime.now(UTC)) - _DEAD
    with suppress(MonarchError):
        for stored in list(store.list()):
            note = split_note_name(stored.name)
            if note and (note[1] == READING or stored.unfinished) and stored.modified < before:
                with suppress(MonarchError):
                    (store.discard if stored.unfinished else store.delete)(stored.name)


@contextmanager
def marked_as_read(store: Store, archive: str) -> Iterator[None]:
    """Mark the backup with this ``archive`` as being read, for as long as the context lasts."""
    mark = _Mark(store, archive)
    if not mark.renew():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=mark.keep, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        mark.remove()


class _Mark:
    """The file that says that ``archive`` is being read."""

    def __init__(self, store: Store, archive: str) -> None:
        self._store = store
        self._prefix = archive + READING
        self._name: str | None = None

    def keep(self, done: threading.Event) -> None:
        """Renew it until ``done`` is set."""
        while not done.wait(_RENEW_EVERY):
            self.renew()

    def renew(self) -> bool:
        """Write it anew; return whether that was possible."""
        name = self._prefix + secrets.token_hex(8)
        try:
            with self._store.create(name) as upload:
                upload.finish()
        except MonarchError:
            return False
        self.remove()
        self._name = name
        return True

    def remove(self) -> None:
        """Remove it. If that fails, it is left, and counts no more after some minutes."""
        if self._name is not None:
            with suppress(MonarchError):
                self._store.delete(self._name)
