"""``BACKUPS = {'LOCAL': {'backup_dir': …}}``."""

from __future__ import annotations

import os
import re
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

        if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", self.backup_dir):
            raise SettingsError(
                f"'backup_dir' in BACKUPS ({self.backup_dir}) is a path of Windows, not of this system.",
                "Use a path of this machine, or a relative one such as 'backups'.",
            )
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
    values, _ = parse_keys("LOCAL", entry, {"backup_dir": _folder}, required="backup_dir")
    return LocalSettings(**values)


def _folder(what: str, value: object) -> str:
    """Return ``value``, which must be a path: an address or a variable would become a folder of that name."""
    text = parse_text(what, value)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise SettingsError(f"{what} has a newline or a similar character in it.", "Remove it.")
    if address := re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://?|(s3):", text, re.IGNORECASE):
        scheme = (address[1] or address[2]).lower()
        raise SettingsError(f"{what} is a folder, not an address ({scheme}:…).", _instead(scheme, text))
    if found := re.search(r"\$\{\w+\}|(?:^|(?<=[\\/]))\$\w+|%\w+%", text):
        raise SettingsError(
            f"{what}: the variable {found[0]} is not replaced by its value.", _value_of(found[0])
        )
    return text


def _instead(scheme: str, text: str) -> str:
    """Return the hint for an address in the place of a folder."""
    path = re.sub(r"^[^:]*:/{0,2}", "", text)
    if scheme == "file":
        path = path.removeprefix("localhost").strip("/")
        return f"Use the path alone: {{'LOCAL': {{'backup_dir': '/{path}'}}}}."
    if scheme in ("s3", "s3a", "s3n"):
        bucket, _, prefix = path.split("@")[-1].strip("/").partition("/")
        below = f", 'prefix': '{prefix}'" if prefix else ""
        return f"Use BACKUPS = {{'S3': {{'bucket_name': '{bucket}'{below}}}}}."
    return "Use the path of a mounted folder, or the store 'S3' with 'bucket_name' and 'endpoint_url'."


def _value_of(variable: str) -> str:
    """Return the hint for a ``variable`` in a path, written as a shell or Windows writes it."""
    name = variable.strip("${}%")
    if name in ("HOME", "USERPROFILE"):
        return "Use '~', which is your home folder."
    return f"Use Python in migrations/settings.py: os.environ['{name}'] + '/backups'."
