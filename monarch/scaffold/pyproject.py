"""Writing ``[tool.monarch]`` into a project's ``pyproject.toml``."""

from __future__ import annotations

import json
from pathlib import Path

from monarch.errors import ProjectError
from monarch.settings.paths import PYPROJECT
from monarch.system.atomic_files import require_writable, write_atomically


def with_folder(root: Path, folder: str) -> str:
    """Return the text of ``pyproject.toml`` in ``root`` with ``folder`` for the migrations; changes nothing.

    :raises ProjectError: if it has a ``[tool.monarch]`` already, or cannot be read or written.
    """
    import tomllib

    path = root / PYPROJECT
    table = f"[tool.monarch]\nfolder = {json.dumps(folder, ensure_ascii=False)}\n"
    try:
        old = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
        require_writable(path)
        if old and not old.endswith("\n"):
            old += "\n"
        new = f"{old}\n{table}" if old else table
        new = new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in old else new
        tomllib.loads(new)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Fix that first.") from None
    except ValueError:  # no UTF-8, no TOML, or a table of this name
        raise ProjectError(
            f"{PYPROJECT} cannot be added to: it is not valid, or has a [tool.monarch].",
            f"Write folder = {json.dumps(folder, ensure_ascii=False)} below [tool.monarch] there yourself.",
        ) from None
    return new


def write_folder(root: Path, text: str) -> Path:
    """Write ``text`` of `with_folder`, and return the file."""
    path = root / PYPROJECT
    mode = path.stat().st_mode if path.exists() else None
    write_atomically(path, text)
    if mode is not None:
        path.chmod(mode & 0o777)
    return path
