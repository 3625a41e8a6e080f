"""Texts as people read them: numbers, names, and what a terminal can show."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from monarch.amounts import age as age
from monarch.amounts import duration as duration
from monarch.amounts import size as size

# What CI systems execute: Azure's and TeamCity's commands anywhere in a line, GitHub's at its beginning.
_ANYWHERE = re.compile(r"##(?=[A-Za-z]*\[)")
_AT_THE_BEGINNING = re.compile(r"^(\s*):(?=:)")


def count(number: int, noun: str) -> str:
    """``1 migration``, ``2 migrations``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def engine_label(engine: str, versions: tuple[str, ...]) -> str:
    """An engine with the versions of its programs."""
    return f"{engine} ({', '.join(versions)})"


def sentences(text: str, more: str | None) -> str:
    """Return ``text`` and ``more`` as sentences one after the other."""
    return f"{text.rstrip('.')}. {more}" if more else text


def printable(text: str) -> str:
    """``text`` with its control characters escaped: a name from a database must not control a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def harmless(text: str) -> str:
    """Return ``text`` with its control characters escaped, as one line that no CI system executes."""
    return _AT_THE_BEGINNING.sub(r"\1: ", without_commands(printable(text), "# #"))


def without_commands(text: str, instead: str) -> str:
    """``text`` with ``instead`` for what begins a command of Azure or TeamCity."""
    return _ANYWHERE.sub(lambda _: instead, text)


def shell(word: str) -> str:
    """``word`` quoted for a shell: a name must not run anything."""
    import shlex

    return shlex.quote(printable(word))


def argument(name: str) -> str:
    """``name`` as the last argument of a command, for a shell: one that begins with "-" is no option."""
    return f"-- {shell(name)}" if name.startswith("-") else shell(name)


def width(text: str) -> int:
    """The number of columns that ``text`` takes in a terminal."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def shorten(text: str, most: int) -> str:
    """``text`` without its middle, if it takes more than ``most`` columns in a terminal."""
    if width(text) <= most:
        return text
    room = most - 1  # for the "…"
    begin = _beginning(text, room // 2)
    end = _beginning(text[::-1], room - width(begin))[::-1]
    return f"{begin}…{end}"


def _beginning(text: str, most: int) -> str:
    """The longest beginning of ``text`` that takes at most ``most`` columns."""
    taken = 0
    for number, character in enumerate(text):
        taken += width(character)
        if taken > most:
            return text[:number]
    return text


def timestamp(when: datetime) -> str:
    """``when`` as RFC 3339 in UTC, with milliseconds if it has a part of a second: 2026-11-28T05:00:00Z."""
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return f"{when.isoformat(timespec='milliseconds' if when.microsecond else 'seconds')}Z"
