"""Entries of the journal that lie in the store: small files of JSON, each written once.

That of a backup that was taken is called ``NAME.journal``, by the backup's name, and stays when that is
deleted. Others begin with the name of the command. ``NAME.begun.journal`` says that something has
begun; it is deleted when ``NAME.journal`` says how it ended, and counts for nothing beside that. Times are
those of the machine that wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from monarch.backups.names import JOURNAL
from monarch.databases.history import Action, JournalEntry, MigrationState, Operation, TouchedBackup
from monarch.databases.several import SEPARATOR
from monarch.errors import MonarchError
from monarch.stores.base import NameTaken, Store
from monarch.system import process_identity

_FORMAT = 1
_BEGUN = ".begun"
_LARGEST = 1 << 20
_AT_ONCE = 200
_TEXTS = ("host", "user", "monarch", "commit", "job", "link", "backup", "environment", "query_set", "error")
_NUMBERS = ("pid", "documents", "bytes")


def write_lines(store: Store, beside: str | None, operations: Sequence[Operation]) -> None:
    """Write ``operations`` into the store: beside the backup ``beside``, or else under a name of their own.

    :raises StoreError: if they cannot be written.
    """
    name = _name(operations[0])
    try:
        _write(store, beside or name, operations)
    except NameTaken:  # that of an earlier backup, which was deleted: its line stays
        _write(store, name, operations)


class OpenLine:
    """The line of ``operation`` in the store, which has begun and whose outcome is not known.

    :raises StoreError: if it cannot be written.
    """

    def __init__(self, store: Store, operation: Operation) -> None:
        self._store = store
        self._name = _name(operation)
        _write(store, self._name + _BEGUN, (operation,))

    def end(self, operation: Operation) -> None:
        """Write how ``operation`` has ended.

        :raises StoreError: if it cannot be written: the line stays open.
        """
        _write(self._store, self._name, (operation,))
        self.discard()

    def discard(self) -> None:
        """Delete the open line, if the store allows that."""
        with suppress(MonarchError):
            self._store.delete(self._name + _BEGUN + JOURNAL)


def _name(operation: Operation) -> str:
    return f"{operation.action.value}__{datetime.now(UTC):%Y_%m_%d_%H%M%S}_{operation.id[:8]}"


def _write(store: Store, name: str, operations: Sequence[Operation]) -> None:
    now = datetime.now(UTC)
    text = json.dumps({"format": _FORMAT, "entries": [_written(one, now) for one in operations]}, indent=1)
    with store.create(name + JOURNAL) as upload:
        upload.write(text.encode())
        upload.finish()


def read_lines(store: Store, environment: str, last: int | None) -> tuple[JournalEntry, ...]:
    """Return the entries of ``environment`` in the store: all, or at least the ``last`` of them.

    Of one database of several, also those of the whole environment. With them are those of no environment,
    of backups that did not say whose they were.

    Files that are not as they were written are left out.

    :raises StoreError: if the store cannot be read.
    """
    files = [one for one in store.list() if one.name.endswith(JOURNAL) and not one.unfinished]
    ended = {one.name for one in files}
    files = [one for one in files if one.name.replace(_BEGUN + JOURNAL, JOURNAL) not in ended - {one.name}]
    files.sort(key=lambda one: one.modified, reverse=True)
    names = (environment, environment.partition(SEPARATOR)[0], None)
    found: list[JournalEntry] = []
    for first in range(0, len(files), _AT_ONCE):
        some = files[first : first + _AT_ONCE]
        for file in store.read_small([one.name for one in some], _LARGEST):
            if isinstance(file.text, bytes):
                found += [one for one in _entries(file.text) if one.environment in names]
        if last is not None and len(found) >= last:
            break
    return tuple(found)


def _written(operation: Operation, now: datetime) -> dict[str, Any]:
    fields = operation.fields()
    origin = {name: value for name, value in vars(operation.origin).items() if value is not None}
    process = process_identity.identity()
    if operation.outcome is None:  # whoever reads this asks whether the process lives
        return {**fields, **process, **origin, "started_at": now.isoformat()}
    shown = {name: process[name] for name in ("host", "user", "pid", "monarch")}
    began = now - timedelta(seconds=fields["seconds"])
    return {**fields, **shown, **origin, "started_at": began.isoformat(), "finished_at": now.isoformat()}


def _entries(text: bytes) -> Iterator[JournalEntry]:
    try:
        written = json.loads(text)["entries"]
        yield from [_entry(one) for one in written]
    except (ValueError, TypeError, KeyError, AttributeError):
        return


def _entry(written: dict[str, Any]) -> JournalEntry:
    """Return the entry that is ``written``.

    :raises ValueError: if it is of a newer monarch, or damaged.
    """

    def of_type(name: str, *types: type) -> Any:
        value = written.get(name)
        if not isinstance(value, (*types, type(None))):
            raise ValueError(name)
        return value

    ended = of_type("finished_at", str)
    outcome = of_type("outcome", str)
    if outcome is None:
        died = process_identity.has_died(written)
        outcome = (MigrationState.INTERRUPTED if died else MigrationState.PROCESSING).value
    return JournalEntry(
        str(written["key"]),
        Action(written["action"]),
        MigrationState(outcome),
        datetime.fromisoformat(written["started_at"]).astimezone(UTC),
        ended and datetime.fromisoformat(ended).astimezone(UTC),
        seconds=of_type("seconds", int, float),
        query_options=tuple(map(str, of_type("query_options", list) or ())),
        backups=tuple(_touched(one) for one in of_type("backups", list) or ()),
        **{name: of_type(name, str) for name in _TEXTS},
        **{name: of_type(name, int) for name in _NUMBERS},
    )


def _touched(written: dict[str, Any]) -> TouchedBackup:
    """Return the backup that is ``written``.

    :raises ValueError: if something in it is of another type.
    """
    members: dict[str, Any] = {one.name: written.get(one.name) for one in fields(TouchedBackup)}
    found = TouchedBackup(**members)
    texts = (found.name, found.archive, found.taken_at, found.sha256 or "", found.why or "")
    if (
        not all(isinstance(text, str) for text in texts)
        or not isinstance(found.bytes, int)
        or not isinstance(found.deleted, bool)
    ):
        raise ValueError(written)
    return found
