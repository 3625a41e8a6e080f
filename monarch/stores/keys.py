"""Reading the keys of a store in ``BACKUPS``: the part that all stores share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monarch.errors import SettingsError
from monarch.system.secrets import hint_for_text
from monarch.system.spelling import suggest

# Gets what to call the value in errors, and the value; returns it checked.
KeyParser = Callable[[str, object], Any]


def parse_keys(
    store: str, entry: object, parsers: Mapping[str, KeyParser], required: str
) -> tuple[dict[str, Any], frozenset[str]]:
    """Read the dict ``entry`` of ``store`` with the parser of each key.

    A value of None or "", for example of a variable that is not set on this machine, counts as not given.

    :return: the values by key, and the keys that have no value.
    :raises SettingsError: for an unknown key, a wrong value, or if the ``required`` key has no value.
    """
    if not isinstance(entry, Mapping):
        raise SettingsError(
            f"BACKUPS[{store!r}] is not a dict.", f"Use {{{store!r}: {{{required!r}: '…'}}}}."
        )
    empty = frozenset(key for key, value in entry.items() if value is None or value == "")
    values = {}
    for key, value in entry.items():
        if key not in parsers:
            raise SettingsError(f"Unknown key {key!r} in BACKUPS[{store!r}].", suggest(str(key), parsers))
        if key not in empty:
            values[key] = parsers[key](f"BACKUPS[{store!r}]: {key!r}", value)
    if required not in values:
        raise SettingsError(f"BACKUPS[{store!r}] has no {required!r}.", f"Set {required!r}.")
    return values, empty


def parse_text(what: str, value: object) -> str:
    """Return ``value``, which must be a text."""
    if not isinstance(value, str):
        raise SettingsError(f"{what} is not a text.", hint_for_text(value))
    return value


def parse_number(what: str, value: object, least: int, most: int) -> int:
    """Return ``value``, which must be a whole number from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SettingsError(f"{what} is not a number from {least:,} to {most:,}.", "Write it as 4.")
    return value


def one_of(*words: str) -> KeyParser:
    """Return a parser that accepts these words."""

    def parse(what: str, value: object) -> str:
        if value not in words:
            raise SettingsError(
                f"{what} is not one of {', '.join(map(repr, words))}.", suggest(str(value), words)
            )
        return str(value)

    return parse
