"""The places where backups are kept, and the one way to open one."""

from __future__ import annotations

from pathlib import Path

from monarch.errors import SettingsError
from monarch.settings.paths import SETTINGS
from monarch.store_settings import LocalSettings, S3Settings
from monarch.stores.base import Store
from monarch.stores.local import LocalStore


def open_store(settings: LocalSettings | S3Settings | None, root: Path) -> Store:
    """The store that ``settings`` describe; a folder's name is relative to ``root``, the project's.

    :raises SettingsError: if they describe none.
    """
    if settings is None:
        raise SettingsError(
            f"There is no BACKUPS in {SETTINGS}, so there is no place for backups.",
            "Say where: BACKUPS = {'LOCAL': {'backup_dir': 'backups'}}.",
        )
    if isinstance(settings, S3Settings):
        # Only then: most projects have no need of boto3, whose import takes long.
        from monarch.stores.s3 import S3Store

        return S3Store(settings)
    try:
        folder = Path(settings.backup_dir).expanduser()
    except RuntimeError:  # nobody knows whose home that is
        raise SettingsError(
            f"The home in 'backup_dir' ({settings.backup_dir}) is not known on this machine.",
            "Write the whole path in its place.",
        ) from None
    return LocalStore(root / folder, settings.backup_dir)
