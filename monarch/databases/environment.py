"""An environment: a database of a team, or several of one server, as the settings describe it.

This has what all kinds of databases share, and the helpers with which a kind reads its own keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from monarch.databases.several import SEPARATOR, DatabaseSet
from monarch.errors import SettingsError, UsageError
from monarch.system.secrets import Secret, hint_for_text
from monarch.system.spelling import suggest

# The keys that every kind of database has.
COMMON_KEYS = ("kind", "db_name", "protected", "private")

# Those of them that are True or False.
FLAGS = ("protected", "private")

Entry = Mapping[Any, Any]


@dataclass(frozen=True)
class Environment:
    """One entry of ``ENVIRONMENTS``.

    ``kind`` is a key of `monarch.databases.KINDS`. ``server`` is its address, for people and without
    credentials. With ``hosts_by_dns`` its hosts are found through DNS, so they are never local. ``missing``
    is a key whose value is None or empty, for example because a variable is not set on this machine, one of
    ``variables`` if the settings show which. Such an environment can be listed but not used, and neither can
    one whose entry is wrong: ``problem`` says why, and ``remedy`` what to do. ``address`` holds what the kind
    needs to connect; it is opaque to everything else.

    With ``private`` its documents are of people: they go into an environment that is not private masked only.
    With ``kind_guessed`` nothing on this machine tells its kind, because its ``uri`` has no value.

    With ``databases`` it has several, and no ``db_name``: it cannot be opened, its members can. A ``member``
    is what it is for one of them, under the same name.
    """

    name: str
    kind: str
    db_name: str
    server: str
    hosts: tuple[str, ...] = ()
    hosts_by_dns: bool = False
    username: str | None = None
    embedded: bool = False
    protected: bool | None = None
    private: bool = False
    missing: str | None = None
    variables: tuple[str, ...] = ()
    problem: str | None = None
    remedy: str | None = None
    address: object = None
    kind_guessed: bool = False
    databases: DatabaseSet | None = None
    is_member: bool = False

    @property
    def label(self) -> str:
        """Its name for people and on command lines; that of a member has its database in it."""
        return f"{self.name}{SEPARATOR}{self.db_name}" if self.is_member else self.name

    def member(self, database: str) -> Environment:
        """Return what this environment, which has several databases, is for one of them."""
        return replace(self, db_name=database, databases=None, is_member=True)

    def beside(self, database: str) -> Environment:
        """Return this environment with ``database`` in place of its own, for questions to its server."""
        return replace(self, db_name=database, databases=None)

    def require(self) -> Environment:
        """Return this environment, which must be right, complete on this machine, and have one database.

        :raises SettingsError: saying what is wrong, or naming the key that has no value.
        :raises UsageError: if it has several databases.
        """
        self.require_complete().require_one()
        return self

    def require_one(self) -> None:
        """Check that this environment has one database.

        :raises UsageError: if it has several, saying how to name one.
        """
        if self.databases is None:
            return
        example = next((f", for example {self.member(one).label}" for one in self.databases.names), "")
        raise UsageError(
            f"Environment {self.name!r} has several databases ({self.databases}), and this needs one.",
            f"Name it: {self.name}{SEPARATOR}DATABASE{example}.",
        )

    def require_complete(self) -> Environment:
        """Return this environment, which must be right and complete; it may have several databases.

        :raises SettingsError: saying what is wrong, or naming the key that has no value.
        """
        if self.problem is not None:
            raise SettingsError(self.problem, self.remedy)
        if self.missing is not None:
            raise SettingsError(
                f"Environment {self.name!r} has no {self.missing!r}: its value is empty.", self._how_to_set()
            )
        return self

    @property
    def known_kind(self) -> str | None:
        """Its kind; None if it has no ``uri`` here, or is wrong, so that ``kind`` is a guess."""
        return None if self.problem is not None or self.kind_guessed else self.kind

    def _how_to_set(self) -> str:
        if len(self.variables) > 1:  # each of them may be needed, or one of them
            listed = ", ".join(self.variables)
            return f"migrations/settings.py takes it from variables. These are not set: {listed}."
        of = f"{self.variables[0]}, from which" if self.variables else "the variable that"
        return f"Set {of} migrations/settings.py takes it{'' if self.variables else ' from'}."


def check_keys(entry: Entry, known: Iterable[str]) -> None:
    """Check that ``entry`` has no keys but the common ones and ``known``.

    :raises SettingsError: naming an unknown key and the nearest known one.
    """
    names = (*COMMON_KEYS, *known)
    for key in entry:
        if key not in names:
            raise SettingsError(f"unknown key {key!r}", suggest(str(key), names))


def read_text(entry: Entry, key: str) -> str | None:
    """Return the text at ``key``; None if it is missing or empty.

    :raises SettingsError: if it is not a text.
    """
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        kind = type(value).__name__
        raise SettingsError(f"its {key!r} is a {kind}, not a text", hint_for_text(value))
    return value or None


def read_secret(entry: Entry, key: str) -> Secret | None:
    """Return the text at ``key`` as a secret; None if it is missing or empty.

    :raises SettingsError: if it is not a text.
    """
    value = read_text(entry, key)
    return None if value is None else Secret(value)


def read_flag(entry: Entry, key: str) -> bool | None:
    """Return the truth value at ``key``; None if it is missing.

    :raises SettingsError: if it is neither True nor False.
    """
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise SettingsError(f"its {key!r} is neither True nor False", "Write True or False.")
    return value


def find_missing(entry: Entry) -> str | None:
    """Return the first key whose value is None or empty, except the flags; None if there is none.

    A variable that is not set gives None, or an empty text in many CI systems.
    """
    empty = (key for key, value in entry.items() if value in (None, "") and key not in FLAGS)
    return next(empty, None)
