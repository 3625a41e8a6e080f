"""The stores that keep backups: which there are, and how ``BACKUPS`` in the settings chooses one.

To add a store, write a module with a function ``parse(entry)`` that returns a `StoreSettings`, and add one
line to `STORES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.errors import SettingsError
from monarch.system.spelling import suggest

if TYPE_CHECKING:
    from monarch.stores.base import Store, StoreSettings

# One line for each store: its name in BACKUPS, and the module that reads its keys.
STORES = {
    "LOCAL": "monarch.stores.local.settings",
    "S3": "monarch.stores.s3.settings",
}
# Keys of BACKUPS beside the store, which the domain of backups reads.
_BESIDE = ("encrypt", "keep", "minimum")


class NoStore(SettingsError):
    """The settings name no store."""


def parse_store(entries: object) -> StoreSettings | None:
    """Read ``BACKUPS`` of the settings; None if it is missing or empty.

    :raises SettingsError: saying what is wrong, with the nearest right name.
    """
    if entries is None or entries == {}:
        return None
    names = " or ".join(map(repr, STORES))
    if not isinstance(entries, Mapping):
        raise SettingsError(
            "BACKUPS in migrations/settings.py is not a dict.", f"Use a dict with one key: {names}."
        )
    stores = {name: entry for name, entry in entries.items() if name not in _BESIDE}
    for name in stores:
        if name not in STORES:
            raise SettingsError(
                f"Unknown store {name!r} in BACKUPS.", suggest(str(name), [*STORES, *_BESIDE])
            )
    if len(stores) != 1:
        both = f"more than one store: {' and '.join(map(repr, stores))}" if stores else "no store"
        hint = "Keep the one you use." if stores else f"Add {names}."
        raise SettingsError(f"BACKUPS has {both}.", hint)
    ((name, entry),) = stores.items()
    settings: StoreSettings = import_module(STORES[name]).parse(entry)
    return settings


def open_store(settings: StoreSettings | None, root: Path) -> Store:
    """Open the store of ``settings``; a relative folder is below ``root``, the folder of the project.

    :raises NoStore: if there are no settings of a store.
    """
    if settings is None:
        raise NoStore(
            "There is no BACKUPS in migrations/settings.py, so there is no place for backups.",
            "Set it, for example: BACKUPS = {'LOCAL': {'backup_dir': 'backups'}}.",
        )
    return settings.open(root)
