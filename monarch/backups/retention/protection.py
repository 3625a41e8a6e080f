"""Protected backups: nothing deletes them. A small file beside the archive says so.

The file ``ARCHIVE.protected`` is a JSON object with the members ``until``, ``who`` and ``since``. One that
cannot be read protects too: better a backup too many.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from monarch.backups.names import PROTECTED, split_archive_name
from monarch.errors import StoreError, UsageError
from monarch.stores.base import NameTaken, NotStored, Store


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


def protect(store: Store, archive: str, protection: Protection) -> None:
    """Protect the backup with this ``archive``, in place of the protection that it has.

    :raises UsageError: if its name is none of monarch's, which only foreign archives have.
    """
    if split_archive_name(archive) is None:
        raise UsageError(
            f"{archive!r} is no backup of monarch, and only those can be protected.",
            "Restore it and take a backup, or keep it elsewhere.",
        )
    for last in (False, True):
        try:
            with store.create(archive + PROTECTED) as upload:
                upload.write(protection.to_bytes())
                upload.finish()
            return
        except NameTaken:
            if last:
                raise
            unprotect(store, archive)


def unprotect(store: Store, archive: str) -> None:
    """Remove the protection of the backup with this ``archive``, if it has one."""
    with suppress(NotStored):
        store.delete(archive + PROTECTED)
