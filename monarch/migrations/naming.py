"""How a new migration may be called, and when it says that it was made."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta

from monarch.errors import ProjectError
from monarch.migrations.files import MigrationFile

_STAMP = "%Y%m%d%H%M"
# With stamp and suffix a file name stays well below the 255 bytes of common file systems.
_LONGEST_NAME = 120
_NAME = frozenset(string.ascii_letters + string.digits + "_")


def check_name(name: str, what: str = "migration", command: str = "generate") -> None:
    """See that ``name`` can be that of a ``what``, which ``command`` makes.

    :raises ProjectError: with one that can.
    """
    if set(name) <= _NAME and len(name) <= _LONGEST_NAME and name.lstrip("_")[:1].isalpha():
        return
    cleaned = "_".join("".join(c if c in _NAME else " " for c in name).split()).lstrip("_0123456789")
    usable = f"For example: monarch {command} {cleaned[:_LONGEST_NAME]}" if cleaned else "Like add_indexes."
    raise ProjectError(
        f"{name!r} cannot be the name of a {what}: "
        f"it takes letters, digits and underscores, {_LONGEST_NAME} at most, and begins with a letter.",
        usable,
    )


def next_stamp(files: tuple[MigrationFile, ...]) -> str:
    """Now, in UTC; or a minute after the newest file, so that a new migration always runs last."""
    now = datetime.now(UTC).strftime(_STAMP)
    newest = max((file.stamp for file in files), default="")
    if newest < now:
        return now
    try:
        return (datetime.strptime(newest, _STAMP) + timedelta(minutes=1)).strftime(_STAMP)
    except (ValueError, OverflowError):
        raise ProjectError(
            f"The newest migration is dated {newest}, which is no time after which another could come.",
            "Rename that file first.",
        ) from None
