"""How the file of a migration is named: its date, its name, and its key in the history."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from monarch.errors import ProjectError

PATTERN = re.compile(r"_(?P<stamp>\d{12})_(?P<name>\w+)_migration\.py", re.ASCII)

_STAMP = "%Y%m%d%H%M"
# With the stamp and the suffix a file name stays well below the 255 bytes of common file systems.
_LONGEST_NAME = 120
_NAME = frozenset(string.ascii_letters + string.digits + "_")


def name_of(key: str) -> str | None:
    """The name of a migration, from its ``key``."""
    match = PATTERN.fullmatch(f"{key}.py")
    return match["name"] if match else None


def check_name(name: str, what: str = "migration", command: str = "generate") -> None:
    """Check that ``name`` can be the name of a ``what``, which ``command`` writes.

    :raises ProjectError: with a similar name that can.
    """
    if set(name) <= _NAME and len(name) <= _LONGEST_NAME and name.lstrip("_")[:1].isalpha():
        return
    cleaned = "_".join("".join(c if c in _NAME else " " for c in name).split()).lstrip("_0123456789")
    example = cleaned[:_LONGEST_NAME] or "add_indexes"
    raise ProjectError(
        f"{name!r} cannot be the name of a {what}: "
        f"it takes letters, digits and underscores, {_LONGEST_NAME} at most, and begins with a letter.",
        f"For example: monarch {command} {example}",
    )


def next_stamp(stamps: Iterable[str]) -> str:
    """The stamp of a new migration: now, in UTC, or a minute after the newest of ``stamps``, to run last."""
    now = datetime.now(UTC).strftime(_STAMP)
    newest = max(stamps, default="")
    if newest < now:
        return now
    try:
        return (datetime.strptime(newest, _STAMP) + timedelta(minutes=1)).strftime(_STAMP)
    except (ValueError, OverflowError):
        raise ProjectError(
            f"The newest migration is dated {newest}, and no valid time comes after that.",
            "Rename that file first.",
        ) from None
