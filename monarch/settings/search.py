"""Finding the project that a folder is in, as git finds a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shlex import quote

from monarch.errors import UsageError
from monarch.settings.paths import PYPROJECT, SETTINGS, SETTINGS_FILE, EnvFile, Place

# What was chosen by option, for the rest of the process. All code of a project gets its root alone.
_chosen: dict[Path, Place] = {}
# How deep `where_else` looks for projects, and in how many folders.
_DEPTH, _MOST = 2, 200


def choose(place: Place) -> None:
    """Use ``place`` for the project at its root, whatever the files there say."""
    _chosen[place.root] = place


def chosen_at(root: Path) -> tuple[str, str] | None:
    """Return what a helper process needs to `choose_again` what was chosen; None if nothing was."""
    place = _chosen.get(root.resolve())
    return None if place is None else (place.folder, place.settings_file)


def choose_again(root: Path, chosen: Sequence[str] | None) -> None:
    """Use what another process has ``chosen``. Its variables are those of this one already."""
    if chosen is not None:
        folder, settings_file = chosen
        nothing = EnvFile(Path(os.devnull), "another process", required=True)
        choose(Place(root.resolve(), folder, settings_file, nothing))


def place_at(root: Path) -> Place:
    """Return where the files of the project at ``root`` are.

    :raises SettingsError: if its ``pyproject.toml`` is wrong.
    """
    root = root.resolve()
    return _chosen.get(root) or read_place(root) or Place(root)


def find_place(start: Path) -> Place | None:
    """Return the project in ``start``, or in the nearest folder above it; None if there is none.

    A project is a folder with ``migrations/settings.py``, or with a ``pyproject.toml`` with
    ``[tool.monarch]``. The search ends after the person's home, and where another file system begins.

    :raises SettingsError: if a ``pyproject.toml`` that mentions monarch is wrong.
    :raises UsageError: if the project belongs to another user: its code would be executed.
    """
    for folder in _upward(start.resolve()):
        place = _chosen.get(folder) or read_place(folder)
        if place is None and _has(folder / SETTINGS):
            place = _described_above(folder) or Place(folder)
        if place is not None:
            if place.root != start.resolve():
                _require_trust(place, start)
            return place
    return None


def _described_above(folder: Path) -> Place | None:
    """Return the project above whose ``[tool.monarch]`` names the settings in ``folder``; None if none does.

    They may look like those of a project of their own, as ``db/migrations/settings.py`` does in ``db``.
    """
    for parent in _upward(folder):
        place = read_place(parent) if parent != folder else None
        if place is not None and place.root / place.settings == folder / SETTINGS:
            return place
    return None


def read_place(root: Path) -> Place | None:
    """Return the place that ``pyproject.toml`` in ``root`` describes; None if it has no ``[tool.monarch]``.

    :raises SettingsError: if it cannot be read, or the table in it is wrong.
    """
    if not os.path.lexists(root / PYPROJECT):
        return None
    from monarch.settings import pyproject  # most commands need none

    return pyproject.read_place(root)


def place_of_settings(file: Path, root: Path | None = None) -> Place:
    """Return the place of the project whose settings are ``file``, or ``settings.py`` in the folder ``file``.

    Its folder is that of the migrations. The project is at ``root``, else in the nearest folder above with a
    ``[tool.monarch]``, else in the folder above that of the settings.

    :raises UsageError: if this cannot be.
    :raises SettingsError: if a ``pyproject.toml`` that mentions monarch is wrong.
    """
    from monarch.settings.pyproject import check_folder

    if file.is_dir():
        file = file / SETTINGS_FILE
    if file.suffix != ".py" or file.name in ("__init__.py", "privacy.py"):
        raise UsageError(
            f"--settings {str(file)!r} is no Python file of settings.", "Name a file that ends in .py."
        )
    if root is None:
        described = (parent for parent in file.parent.parents if read_place(parent) is not None)
        root = next(described, file.parent.parent)
    if file.parent == root or not file.is_relative_to(root):
        raise UsageError(
            f"--settings {str(file)!r} is not in a folder of the project {root}.",
            "Name settings in a folder of the project: the migrations are beside them.",
        )
    folder = check_folder(file.parent.relative_to(root).as_posix(), "The folder of --settings")
    return replace(place_at(root), folder=folder, settings_file=file.name)


def where_else(root: Path) -> str:
    """Return a hint for a person who wants a project in ``root``, where there is none."""
    with suppress(OSError):
        for parent in root.parents:
            if _has(parent / SETTINGS):
                return f"There is a project in {parent}: run monarch there."
    found = next(_below(root), None)
    if found is not None:
        return f"There is a project in {root / found}: monarch -C {quote(str(root / found))} …"
    return "Run `monarch init` to create a project, or name the folder of one: --project DIR"


def _upward(start: Path) -> Iterator[Path]:
    home = None
    with suppress(RuntimeError, OSError):  # there may be no home
        home = Path.home().resolve()
    device = start.stat().st_dev
    for folder in (start, *start.parents):
        with suppress(OSError):
            if folder.stat().st_dev != device:
                return
        yield folder
        if folder == home:
            return


def _has(path: Path) -> bool:
    """Whether there is anything at ``path``, also what cannot be read: that is reported, not passed over."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def _require_trust(place: Place, start: Path) -> None:
    """Check that whoever owns the project is this user, root, or the owner of the folder ``start``.

    Everybody may write to folders such as /tmp.
    """
    if not hasattr(os, "geteuid"):
        return
    trusted = {os.geteuid(), 0, start.stat().st_uid}
    settings = place.root / place.settings
    folders = [one for one in settings.parents if one == place.root or one.is_relative_to(place.root)]
    for path in (place.root / PYPROJECT, settings, settings.parent / "__init__.py", *folders):
        with suppress(FileNotFoundError, NotADirectoryError):
            # Who owns a folder or a link may exchange what it leads to.
            if {path.lstat().st_uid, path.stat().st_uid} - trusted:
                named = path.relative_to(place.root).as_posix() if path != place.root else "that folder"
                raise UsageError(
                    f"There is a project in {place.root}, but {named} belongs to another user.",
                    f"If you trust its code, name it: --project {place.root}",
                )


def _below(root: Path) -> Iterator[Path]:
    """Yield the projects in the folders of ``root``, relative to it."""
    todo, looked = [(root, 0)], 0
    while todo and looked < _MOST:
        folder, depth = todo.pop(0)
        looked += 1
        with suppress(OSError):
            for one in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
                if (one / SETTINGS).is_file():
                    yield one.relative_to(root)
                elif depth + 1 < _DEPTH:
                    todo.append((one, depth + 1))
