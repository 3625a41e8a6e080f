"""Which project a command works on, and where the person stands.

The code of a project runs in the project's folder, wherever the person stands: relative paths in it lead to
the same files. Relative paths of arguments are relative to where the person stands, see `from_here`.

What options say is kept for the process, not in click's context: when an error is reported, that is gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from monarch.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.settings.paths import Place

VARIABLE = "MONARCH_PROJECT"


class _Whereabouts:
    """What options have said, and what followed. ``start`` is the folder the person stands in.

    ``runs`` while a command line does. Programs that call its parts move as they like.
    """

    def __init__(self, *, runs: bool = False) -> None:
        self.runs = runs
        self.project: str | None = None
        self.settings: str | None = None
        self.env_file: str | None = None
        self.moved = False
        self.start: str | None = None
        self.place: Place | None = None
        self.found_by: str | None = None


_now = _Whereabouts()


@contextmanager
def returning() -> Iterator[None]:
    """Begin anew, and go back afterwards to the folder in which this process is now."""
    global _now
    _now = _Whereabouts(runs=True)
    before = _current_folder()
    try:
        yield
    finally:
        _now.runs = False
        if before is not None and before != _current_folder():
            with suppress(OSError):
                os.chdir(before)


def go(folder: str) -> None:
    """Go to ``folder``, for ``-C``.

    :raises UsageError: if that is not possible.
    """
    if not folder:  # as git does
        return
    try:
        os.chdir(folder)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"-C {folder!r}: {why}.", "Name a folder that you may enter.") from None
    _now.moved, _now.start, _now.place = True, None, None


def remember(*, project: str | None = None, settings: str | None = None, env_file: str | None = None) -> None:
    """Remember what an option says; None leaves what was said before."""
    _now.project = _now.project if project is None else project
    _now.settings = _now.settings if settings is None else settings
    _now.env_file = _now.env_file if env_file is None else env_file
    _now.place = None


def find(*, upward: bool = True) -> Place:
    """Return where the project is, and work in its folder from now on.

    It is that of ``--project``, else that of the settings of ``--settings``, else that of MONARCH_PROJECT,
    else the nearest one ``upward`` from the current folder; if there is none, it would be in that.

    :raises UsageError: if an option or the variable is wrong, or the current folder was deleted.
    :raises SettingsError: if ``pyproject.toml`` is wrong.
    """
    if _now.place is None or not _now.runs:
        _now.start = (_now.runs and _now.start) or _current_folder()
        _now.place, _now.found_by = _find(upward)
        if _now.runs and _now.start != str(_now.place.root):
            _enter(_now.place.root)
        _use_names(_now.place)
    return _now.place


def found_by() -> str | None:
    """Return how the project was found, for people; None if it is simply in the current folder."""
    find()
    return _now.found_by


def from_here(path: str) -> str:
    """Return ``path``, an argument, as a path that leads there from the project's folder."""
    if _now.start is None or _now.place is None or _now.start == str(_now.place.root) or path == "-":
        return path
    return os.path.join(_now.start, path)  # noqa: PTH118


def go_back() -> None:
    """Work in the folder in which the person stands, for what they type there."""
    if _now.start is not None:
        with suppress(OSError):
            os.chdir(_now.start)


def _current_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return None


def _enter(root: Path) -> None:
    try:
        os.chdir(root)
    except OSError as error:
        raise UsageError(
            f"{root} cannot be entered: {error.strerror}.", "Name a folder that you may enter."
        ) from None


def _use_names(place: Place) -> None:
    from monarch.settings.paths import SETTINGS

    # Most projects have the names that messages have.
    if place.settings != SETTINGS or "monarch.commands.names" in sys.modules:
        from monarch.commands.names import use_names

        use_names(place)


def _find(upward: bool) -> tuple[Place, str | None]:
    from dataclasses import replace

    from monarch.settings.paths import EnvFile
    from monarch.settings.search import choose

    place, how = _find_root(upward)
    if _now.env_file is not None:
        # Not resolved: it may be a pipe of the shell.
        path = _here("--env-file", _now.env_file) / _now.env_file
        place = replace(place, env_file=EnvFile(path, "--env-file", required=True))
    if _now.env_file is not None or _now.settings is not None:
        choose(place)
    return place, how


def _find_root(upward: bool) -> tuple[Place, str | None]:
    from monarch.settings.search import find_place, place_at, place_of_settings

    named, how = (
        (_now.project, "--project") if _now.project is not None else (os.environ.get(VARIABLE), VARIABLE)
    )
    root = _folder(named or "", how) if named or _now.project is not None else None
    if _now.settings is not None:
        settings = _here("--settings", _now.settings) / _now.settings
        settings = _resolved(settings.parent, "--settings") / settings.name
        if _now.project is None and root is not None and not settings.is_relative_to(root):
            root = None  # the option is of now, and the variable may be of long ago
        return place_of_settings(settings, root), "by --settings"
    if root is not None:
        return place_at(root), f"by {how}"
    start = _here("", "")
    found = find_place(start) if upward else place_at(start)
    if found is None or found.root == start:
        return found or place_at(start), "by -C" if _now.moved else None
    return found, "above this folder"


def _folder(named: str, how: str) -> Path:
    root = _resolved(_here(how, named) / named, how)
    if not named or not root.is_dir():
        hint = "Name the folder of the project." if how != VARIABLE else f"Correct {VARIABLE}, or unset it."
        raise UsageError(f"{how} is {named!r}, which is not a folder.", hint)
    return root


def _here(how: str, path: str) -> Path:
    """Return the folder to which ``path``, the argument of ``how``, is relative; any if it is absolute."""
    from pathlib import Path

    if Path(path).is_absolute():
        return Path("/")
    if _now.start is None:
        raise UsageError("The current folder is gone.", "Go to the folder of your project.")
    return Path(_now.start).resolve()


def _resolved(path: Path, how: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{how} {str(path)!r}: {error}.", "Name another one.") from None
