"""Environments with several databases: names, and patterns that the server's names match.

A text with ``*`` or ``?`` in it is a pattern, in which ``[abc]`` and ``[!abc]`` mean what they mean in a
shell. ``[*]`` and ``[?]`` are these characters themselves. Upper and lower case differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from monarch.errors import SettingsError

_WILD = re.compile(r"[*?\[]")
# Between the name of an environment, which has no slash, and that of one of its databases.
SEPARATOR = "/"


@dataclass(frozen=True)
class DatabaseSet:
    """The ``db_name`` of an environment with several databases: at least one name or pattern.

    Or a ``function`` of the settings that returns the names, which is called when they are needed.
    """

    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    function: Callable[[], tuple[str, ...]] | None = None
    function_name: str = ""

    def named(self) -> tuple[str, ...]:
        """Return the names, also those that the function returns. It is called once in a command.

        :raises SettingsError: if it fails, or does not return names.
        """
        return self.names if self.function is None else _call(self.function)

    def may_have(self, database: str) -> bool:
        """Whether ``database`` is one of the names, or matches a pattern."""
        return database in self.named() or any(fnmatchcase(database, one) for one in self.patterns)

    def may_share(self, other: DatabaseSet) -> bool:
        """Whether a database may belong to both. Of two patterns this is a guess that errs on this side.

        So it is for a function, which is not called for this.
        """
        if self.function is not None or other.function is not None:
            return True
        if any(other.may_have(name) for name in self.names) or any(map(self.may_have, other.names)):
            return True
        return any(_may_overlap(one, two) for one in self.patterns for two in other.patterns)

    def __str__(self) -> str:
        """For people: its names and patterns, of many the first ones."""
        listed = (*self.names, *self.patterns, *((f"{self.function_name}()",) if self.function else ()))
        more = len(listed) - 4
        return ", ".join(listed[:4]) + (f" and {more} more" if more > 0 else "")


@cache
def _call(function: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    return function()


def is_wild(name: str) -> bool:
    """Whether ``name`` is a pattern, as for databases; an environment has none of its characters."""
    return _WILD.search(name) is not None


def parse_databases(value: object) -> DatabaseSet | None:
    """Read ``db_name``: None if it names one database, or none, and is neither a list nor a function.

    :raises SettingsError: if it is a list that is empty or holds something else than different texts.
    """
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        return DatabaseSet((), function=lambda: _names_from(value), function_name=name)
    if isinstance(value, str):
        return DatabaseSet((), (value,)) if _is_pattern(value) else None
    if not isinstance(value, list | tuple):
        return None
    if not value:
        raise SettingsError("its 'db_name' is an empty list", "Name its databases, or write a pattern.")
    _require_names(value)
    return DatabaseSet(
        tuple(one for one in value if not _is_pattern(one)), tuple(one for one in value if _is_pattern(one))
    )


def _names_from(function: Callable[[], object]) -> tuple[str, ...]:
    found = function()
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise SettingsError(
            f"its 'db_name' is a function that returned a {type(found).__name__}",
            "Return a list with the names of the databases.",
        )
    names = tuple(found)
    _require_names(names)
    if wild := next(filter(is_wild, names), None):
        raise SettingsError(
            f"its 'db_name' is a function that returned the pattern {wild!r}", "Return names."
        )
    return names


def _require_names(names: Iterable[object]) -> None:
    seen = set[str]()
    for name in names:
        if not isinstance(name, str) or not name:
            what = "an empty text" if name == "" else f"a {type(name).__name__}"
            raise SettingsError(f"its 'db_name' has {what} in it", "Write the names of databases as texts.")
        if name in seen:
            raise SettingsError(f"its 'db_name' has {name!r} twice", "Name each database once.")
        seen.add(name)


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


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
