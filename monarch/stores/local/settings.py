"""``BACKUPS = {'LOCAL': {'backup_dir': …}}``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monarch.errors import SettingsError
from monarch.stores.base import Store, StoreSettings
from monarch.stores.keys import parse_keys, parse_text


@dataclass(frozen=True)
class LocalSettings(StoreSettings):
    """Backups in the folder ``backup_dir``."""

    backup_dir: str

    def open(self, root: Path) -> Store:
        from monarch.stores.local.store import LocalStore

        try:
            folder = Path(self.backup_dir).expanduser()
        except RuntimeError:  # the user in ~user is unknown
            raise SettingsError(
                f"The home folder in 'backup_dir' ({self.backup_dir}) is not known on this machine.",
                "Use the whole path.",
            ) from None
        return LocalStore(root / folder, self.backup_dir)


def parse(entry: object) -> LocalSettings:
    """Read the entry ``LOCAL`` of ``BACKUPS``.

    :raises SettingsError: saying what is wrong with it.
    """
    values, _ = parse_keys("LOCAL", entry, {"backup_dir": parse_text}, required="backup_dir")
    return LocalSettings(**values)
