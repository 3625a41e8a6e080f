"""``[tool.monarch]`` of a project's ``pyproject.toml``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from monarch.errors import SettingsError
from monarch.settings.paths import FOLDER, PYPROJECT, EnvFile, Place, is_inside
from monarch.system.spelling import suggest

_TABLE = "[tool.monarch] in pyproject.toml"
_KEYS = ("folder", "env-file")
# Most files have no such table. Reading TOML takes as long as a short command.
_MENTIONED = re.compile(
    rb"""\btool["']?\s*\.\s*["']?monarch\b|^\s*\[\s*["']?tool["']?\s*\]|^\s*tool\s*=""", re.M
)


def read_place(root: Path) -> Place | None:
    """Return the place that ``pyproject.toml`` in ``root`` describes; None if it has no ``[tool.monarch]``.

    :raises SettingsError: if it cannot be read, or the table in it is wrong.
    """
    table = _read_table(root / PYPROJECT)
    if table is None:
        return None
    for key in table:
        if key not in _KEYS:
            raise SettingsError(f"{_TABLE}: unknown key {key!r}.", suggest(key, _KEYS))
    env_file = _text(table, "env-file")
    return Place(
        root,
        _folder(table),
        env_file=None
        if env_file is None
        else EnvFile(root / Path(env_file).expanduser(), f"env-file of {_TABLE}"),
    )


def check_folder(folder: str, what: str) -> str:
    """Return ``folder`` for migrations, as `Place` has it; ``what`` names it in messages.

    :raises SettingsError: if it is outside of the project, or one that Python would take for another package.
    """
    folder = folder.replace("\\", "/")
    if not is_inside(folder):
        raise SettingsError(
            f"{what} is {folder!r}, which is not a folder in the project.",
            "Use a relative path without .., such as db/migrations.",
        )
    parts = PurePosixPath(folder).parts
    if not folder.isprintable():
        raise SettingsError(f"{what} has a character that is not printable.", "Rename the folder.")
    if parts[0] in sys.stdlib_module_names or parts[0] == "monarch":
        raise SettingsError(
            f"{what} is {folder!r}, and {parts[0]!r} is also a package that monarch needs.",
            "Choose another name, such as db_migrations: Python would take one for the other.",
        )
    return "/".join(parts)


def _folder(table: Mapping[str, Any]) -> str:
    folder = _text(table, "folder")
    return FOLDER if folder is None else check_folder(folder, f"'folder' of {_TABLE}")


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise SettingsError(f"{key!r} of {_TABLE} is not a text.", f'Write it like {key} = "…".')
    return value


def _read_table(path: Path) -> Mapping[str, Any] | None:
    try:
        if not path.is_file():  # a pipe would block
            return None
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}.",
            "Make it readable, or name the project: --project DIR",
        ) from None
    if _MENTIONED.search(content) is None:
        return None
    import tomllib

    try:
        tool = tomllib.loads(content.decode("utf-8-sig")).get("tool", {})
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}, line {line}: this is not UTF-8.", "Save the file as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.", "Fix the file.") from None
    table = tool.get("monarch") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise SettingsError(
            f"tool.monarch in {path} is not a table.", 'Write [tool.monarch], and below it: folder = "…"'
        )
    return table
