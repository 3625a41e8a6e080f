"""Entries of the journal that lie in the store: small files of JSON, each written once.

That of a backup is called ``NAME.journal``, by the backup's name, and deleted with it. Others, of what
touched no single backup, begin with the name of the command. Their times are those of the machine that wrote
them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from monarch.backups.names import JOURNAL
from monarch.databases.history import Action, JournalEntry, MigrationState, Operation
from monarch.stores.base import Store
from monarch.system import process_identity

_FORMAT = 1
_LARGEST = 1 << 20
_AT_ONCE = 200
_TEXTS = ("host", "user", "monarch", "commit", "job", "link", "backup", "environment", "query_set")
_NUMBERS = ("pid", "documents", "bytes")


def write_lines(store: Store, beside: str | None, operations: Sequence[Operation]) -> None:
    """Write ``operations`` into the store: beside the backup ``beside``, or else under a name of their own.

    :raises StoreError: if they cannot be written.
    """
    now = datetime.now(UTC)
    command = operations[0].action.value
    name = beside or f"{command}__{now:%Y_%m_%d_%H%M%S}_{secrets.token_hex(4)}"
    text = json.dumps({"format": _FORMAT, "entries": [_written(one, now) for one in operations]}, indent=1)
    with store.create(name + JOURNAL) as upload:
        upload.write(text.encode())
        upload.finish()


def read_lines(store: Store, environment: str, last: int | None) -> tuple[JournalEntry, ...]:
    """Return the entries of ``environment`` in the store: all, or at least the ``last`` of them.

    Files that are not as they were written are left out.

    :raises StoreError: if the store cannot be read.
    """
    files = [one for one in store.list() if one.name.endswith(JOURNAL) and not one.unfinished]
    files.sort(key=lambda one: one.modified, reverse=True)
    found: list[JournalEntry] = []
    for first in range(0, len(files), _AT_ONCE):
        some = files[first : first + _AT_ONCE]
        for file in store.read_small([one.name for one in some], _LARGEST):
            if isinstance(file.text, bytes):
                found += [entry for entry in _entries(file.text) if entry.environment == environment]
        if last is not None and len(found) >= last:
            break
    return tuple(found)


def _written(operation: Operation, now: datetime) -> dict[str, Any]:
    fields = operation.fields()
    origin = {name: value for name, value in vars(operation.origin).items() if value is not None}
    process = process_identity.identity()
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

    began, ended = (datetime.fromisoformat(written[name]) for name in ("started_at", "finished_at"))
    return JournalEntry(
        str(written["key"]),
        Action(written["action"]),
        MigrationState(written["outcome"]),
        began.astimezone(UTC),
        ended.astimezone(UTC),
        seconds=of_type("seconds", int, float),
        query_options=tuple(map(str, of_type("query_options", list) or ())),
        **{name: of_type(name, str) for name in _TEXTS},
        **{name: of_type(name, int) for name in _NUMBERS},
    )
