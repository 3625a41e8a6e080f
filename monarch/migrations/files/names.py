"""How the file of a migration is named: its date, its name, and its key in the history."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from monarch.errors import ProjectError

PATTERN = re.compile(r"_(?P<stamp>\d{12})_(?P<name>\w+)_migration\.py", re.ASCII)

_STAMP = "%Y%m%d%H%M"
# With the stamp and the suffix a file name stays well below the 255 bytes of common file systems.
_LONGEST_NAME = 120
_NAME = frozenset(string.ascii_letters + string.digits + "_")
# Of a text that looks like the path of a file in a folder of migrations.
_FOLDER_BEFORE = re.compile(r"(?:migrations/)?(?!migrations/)(\w[\w.-]*(?:/\w[\w.-]*)*)/\w+(?:\.py)?\Z")
# Letters that Unicode does not take apart, and apostrophes, which are within a word.
_PLAIN = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i", "'": "", "’": ""}
)


def name_of(key: str) -> str | None:
    """The name of a migration, from its ``key``."""
    match = PATTERN.fullmatch(f"{key}.py")
    return match["name"] if match else None


def shown_key(key: str) -> str:
    """``key`` as a person reads it, without what all keys have. `find_migration` knows it by that, too."""
    return key[1:].removesuffix("_migration") if PATTERN.fullmatch(f"{key}.py") else key


def whole_key(shown: str) -> str:
    """The key that `shown_key` shows so; ``shown`` itself if it is no such text."""
    key = f"_{shown}_migration"
    return key if PATTERN.fullmatch(f"{key}.py") else shown


def name_from(text: str, what: str = "migration", command: str = "generate") -> str:
    """The name of a ``what`` from ``text``, which a person gave to ``command``.

    A text that is a name stays as it is: letters, digits and underscores. Any other one is written in lower
    case and without accents, with underscores between its words: "Add email index" is ``add_email_index``.

    :raises ProjectError: if that is no name, with a similar one that is.
    """
    name = text if set(text) <= _NAME else "_".join(_words(text)).lower()
    wrong, example = _judge(text, name)
    if wrong is None:
        return name
    usable = example.lstrip("_0123456789")[:_LONGEST_NAME]
    if not usable or not set(usable) <= _NAME:
        usable = "add_indexes"
    inside = _FOLDER_BEFORE.match(text) if command == "generate" else None
    raise ProjectError(
        f"{text!r} cannot be the name of a {what}: {wrong}.",
        f"For example: monarch {command} {usable}{f' --in {inside[1]}' if inside else ''}",
    )


def _judge(text: str, name: str) -> tuple[str | None, str]:
    """Why ``name``, made of ``text``, is no name, or None; and one that is similar, with digits before it."""
    if not name.strip("_"):
        return "it has no letter from a to z", ""
    if any(separator in text for separator in "/\\") and not any(c.isspace() for c in text.strip()):
        last = re.split(r"[/\\]", text.rstrip("/\\"))[-1].removesuffix(".py")
        return "it looks like a path", "_".join(_words(last)).lower()
    if strange := next((c for c in name if c not in _NAME), None):
        kept = "".join(c if c in _NAME else " " for c in name.replace("_", " "))
        return f"it has {strange!r} in it, and takes letters from a to z", "_".join(kept.split())
    if not name.lstrip("_")[0].isalpha():
        return "it begins with a digit", name_of(name) or f"add_{name.lstrip('_')}"
    if len(name) > _LONGEST_NAME:
        cut = name[: _LONGEST_NAME + 1].rpartition("_")[0]
        return f"it has more than {_LONGEST_NAME} characters", cut or name
    return None, name


def _words(text: str) -> list[str]:
    """The words of ``text``, without accents. Letters that have no form in a to z stay."""
    plain = text.translate(_PLAIN)
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in plain).split()


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
