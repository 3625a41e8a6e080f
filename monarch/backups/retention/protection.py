"""Protected backups: nothing deletes them. A small file beside the archive says so.

The file ``ARCHIVE.protected`` is a JSON object with the members ``until``, ``who`` and ``since``. One that
cannot be read protects too: better a backup too many. A file is never changed, so another protection is
another file, ``ARCHIVE.protected.NUMBER`` while the first is there, which is then deleted. Of several, the
longest holds.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from monarch.backups.names import PROTECTED, split_archive_name, split_note_name
from monarch.databases.foreign import as_argument
from monarch.errors import LockedError, StoreError, UsageError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile, Upload

_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Protection:
    """The protection of a backup, ``until`` a moment in UTC, or for good if that is None.

    ``who`` has protected it; ``since`` when.
    """

    until: datetime | None = None
    who: str = ""
    since: datetime | None = None

    def holds(self, now: datetime | None = None) -> bool:
        """Whether it holds ``now``, which is the present moment by default."""
        return self.until is None or (now or datetime.now(UTC)) < self.until

    def __str__(self) -> str:
        until = f"until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "for good"
        return f"protected {until}{f' by {self.who}' if self.who else ''}"

    def to_bytes(self) -> bytes:
        """Return the text that `read_protection` reads."""
        members = {"until": self.until, "who": self.who, "since": self.since}
        return (json.dumps(members, default=lambda moment: moment.isoformat()) + "\n").encode()


def read_protection(text: bytes | StoreError) -> Protection:
    """Return the protection with this ``text``; one for good if that is not as it was written."""
    if isinstance(text, StoreError):
        return Protection()
    try:
        members = json.loads(text.decode())
        until, since = (_read_moment(members.get(name)) for name in ("until", "since"))
        return Protection(until, str(members["who"]), since)
    except Exception:  # wrong encoding, something missing, of another type, …
        return Protection()


def read_protections(
    store: Store, listed: Iterable[StoredFile], *, strict: bool = False
) -> dict[str, Protection]:
    """Return the protections that the files ``listed`` give, by the archive: of several the longest.

    :param strict: whether one that the store does not let be read is an error, not one for good.
    :raises StoreError: only if so.
    """
    notes = [(stored.name, split_note_name(stored.name)) for stored in listed if not stored.unfinished]
    archives = {name: note[0] for name, note in notes if note and note[1] == PROTECTED}
    found: dict[str, Protection] = {}
    for file in store.read_small(archives, _LARGEST):
        if strict and isinstance(file.text, StoreError):
            raise file.text
        protection, archive = read_protection(file.text), archives[file.name]
        found[archive] = longest([protection, found.get(archive, protection)])
    return found


def longest(protections: Iterable[Protection]) -> Protection:
    """Return the one of ``protections`` that holds longest, the newest of several."""
    never = datetime.min.replace(tzinfo=UTC)
    return max(protections, key=lambda one: (one.until is None, one.until or never, one.since or never))


def refuse_shorter(name: str, present: Iterable[Protection], wanted: Protection) -> None:
    """Check that ``wanted`` protects the backup called ``name`` for as long as its ``present`` ones do.

    :raises LockedError: if not: nobody shall lose a protection unknowingly.
    """
    held = [one for one in present if one.holds()]
    if not held or wanted.until is None:
        return
    present_one = longest(held)
    if present_one.until is None or present_one.until > wanted.until:
        raise LockedError(
            f"{name!r} is {present_one}, which is longer. Nothing was changed.",
            f"If it may be shorter, remove that first: monarch unprotect_backup {as_argument(name)}",
        )


def _read_moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def parse_until(text: str, now: datetime) -> datetime:
    """Read a date, or a date with a time, in UTC; a date alone is the end of that day.

    :raises UsageError: if it is none, or not after ``now``.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until {text!r} is no date.", "Write it like 2027-01-31.") from None
    if len(text) <= len("2027-01-31"):
        moment = moment.replace(hour=23, minute=59, second=59)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment <= now:
        raise UsageError(f"--until {text} is not in the future.", "Use a later date.")
    return moment


def protect(store: Store, archive: str, protection: Protection) -> str:
    """Protect the backup with this ``archive``, in place of the protection that it has; return the file.

    It is protected at any moment: the new file is complete before the old one goes.

    :raises UsageError: if its name is none of monarch's, which only foreign archives have.
    """
    if split_archive_name(archive) is None:
        raise UsageError(
            f"{archive!r} is no backup of monarch, and only those can be protected.",
            "Restore it and take a backup, or keep it elsewhere.",
        )
    # Listed first, and never under a name that was there: of those who do this at once, nobody deletes the
    # file of the one who lists last.
    older = _find_notes(store, archive)
    name, upload = _create(store, archive, first=not older)
    with upload:
        upload.write(protection.to_bytes())
        upload.finish()
    _delete(store, older)
    return name


def unprotect(store: Store, archive: str) -> None:
    """Remove the protection of the backup with this ``archive``, if it has one."""
    _delete(store, _find_notes(store, archive))


def _find_notes(store: Store, archive: str) -> tuple[StoredFile, ...]:
    """Return the files that protect ``archive``, finished or not."""
    listed = store.list(archive + PROTECTED)
    return tuple(one for one in listed if split_note_name(one.name) == (archive, PROTECTED))


def _create(store: Store, archive: str, *, first: bool) -> tuple[str, Upload]:
    name = archive + PROTECTED
    if first:
        with suppress(NameTaken):
            return name, store.create(name)
    name = f"{name}.{secrets.token_hex(8)}"
    return name, store.create(name)


def _delete(store: Store, notes: Iterable[StoredFile]) -> None:
    """Delete the finished ones of ``notes``: the others do not protect, and may be written right now."""
    for note in notes:
        if not note.unfinished:
            with suppress(NotStored):
                store.delete(note.name)
