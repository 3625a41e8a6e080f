"""The files in ``migrations/`` and in the folders in it, at any depth, without those of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from monarch.errors import ProjectError

# Folders in which nobody keeps migrations, besides those whose names begin with a dot or two underscores.
_OTHERS = ("node_modules", "lost+found")
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


def is_visited(folder: str) -> bool:
    """Whether migrations are looked for in folders of the name ``folder``."""
    return not folder.startswith((".", "__")) and folder not in _OTHERS


def walk(folder: Path, shown: str) -> Iterator[tuple[PurePosixPath, os.DirEntry[str]]]:
    """Yield the files in ``folder`` and in the folders in it, each with the folder that it is in.

    That is relative to ``folder``. A folder whose name ends in ``.py`` is yielded like a file. Links to
    folders are followed, but no folder is visited twice: neither a circle nor a second way to it matters.

    :param shown: what ``folder`` is called in messages.
    :raises FileNotFoundError: if there is no ``folder``.
    :raises ProjectError: if a folder cannot be read.
    """
    todo = [(PurePosixPath(), folder)]
    links: list[tuple[PurePosixPath, Path]] = []
    seen: set[tuple[int, int]] = set()
    while todo or links:
        inside, path = (
            todo.pop() if todo else links.pop()
        )  # the name of a link is not shown if it has another
        entries = _entries(path, shown if inside == PurePosixPath() else f"{shown}/{inside}", seen)
        for entry in entries:
            if entry.name.endswith(".py") or not is_folder(entry):
                yield inside, entry
            elif is_visited(entry.name):
                (links if entry.is_symlink() else todo).append((inside / entry.name, path / entry.name))


def _entries(path: Path, shown: str, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """Return what is in the folder ``path``; nothing if it is in ``seen``, or a virtual environment."""
    try:
        found = path.stat()
        if (found.st_dev, found.st_ino) in seen:
            return []
        seen.add((found.st_dev, found.st_ino))
        with os.scandir(path) as entries:
            return [] if (listed := list(entries)) and _is_foreign(listed) else listed
    except FileNotFoundError:
        if shown.rpartition("/")[0]:
            return []  # it has just been removed
        raise
    except OSError as error:
        raise ProjectError(
            f"{shown}/ cannot be read: {error.strerror}.", "It must be a folder that you may read."
        ) from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether ``entry`` is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where nobody may look
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether ``entry`` is a file, or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_foreign(entries: list[os.DirEntry[str]]) -> bool:
    return any(entry.name == _VIRTUAL_ENVIRONMENT for entry in entries)
