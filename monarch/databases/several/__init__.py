"""Environments with several databases: names, and patterns that the server's names match.

A text with ``*`` or ``?`` in it is a pattern, in which ``[abc]`` and ``[!abc]`` mean what they mean in a
shell. ``[*]`` and ``[?]`` are these characters themselves. Upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from monarch.errors import SettingsError

_WILD = re.compile(r"[*?\[]")
# Between the name of an environment, which has no slash, and that of one of its databases.
SEPARATOR = "/"


@dataclass(frozen=True)
class DatabaseSet:
    """The ``db_name`` of an environment with several databases: at least one name or pattern."""

    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()

    def may_have(self, database: str) -> bool:
        """Whether ``database`` is one of the names, or matches a pattern."""
        return database in self.names or any(fnmatchcase(database, one) for one in self.patterns)

    def may_share(self, other: DatabaseSet) -> bool:
        """Whether a database may belong to both. Of two patterns this is a guess that errs on this side."""
        if any(other.may_have(name) for name in self.names) or any(map(self.may_have, other.names)):
            return True
        return any(_may_overlap(one, two) for one in self.patterns for two in other.patterns)

    def __str__(self) -> str:
        """For people: its names and patterns, of many the first ones."""
        listed = (*self.names, *self.patterns)
        more = len(listed) - 4
        return ", ".join(listed[:4]) + (f" and {more} more" if more > 0 else "")


def is_wild(name: str) -> bool:
    """Whether ``name`` is a pattern, as for databases; an environment has none of its characters."""
    return _WILD.search(name) is not None


def parse_databases(value: object) -> DatabaseSet | None:
    """Read ``db_name``: None if it names one database, or none, and is not a list.

    :raises SettingsError: if it is a list that is empty or holds something else than different texts.
    """
    if isinstance(value, str):
        return DatabaseSet((), (value,)) if _is_pattern(value) else None
    if not isinstance(value, list | tuple):
        return None
    if not value:
        raise SettingsError("its 'db_name' is an empty list", "Name its databases, or write a pattern.")
    for one in value:
        if not isinstance(one, str) or not one:
            what = "an empty text" if one == "" else f"a {type(one).__name__}"
            raise SettingsError(f"its 'db_name' has {what} in it", "Write the names of databases as texts.")
    _require_different(value)
    return DatabaseSet(
        tuple(one for one in value if not _is_pattern(one)), tuple(one for one in value if _is_pattern(one))
    )


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _require_different(names: Iterable[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise SettingsError(f"its 'db_name' has {name!r} twice", "Name each database once.")
        seen.add(name)


def _may_overlap(one: str, other: str) -> bool:
    """Whether a name may match both patterns: what is before and after their wild parts may agree."""
    return _agree(_before(one), _before(other)) and _agree(_after(one)[::-1], _after(other)[::-1])


def _agree(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _before(pattern: str) -> str:
    return _WILD.split(pattern, maxsplit=1)[0]


def _after(pattern: str) -> str:
    # A bracket ends somewhere: what follows it is compared only if there is none.
    return "" if "[" in pattern else _WILD.split(pattern)[-1]
