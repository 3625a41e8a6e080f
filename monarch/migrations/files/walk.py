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
        try:
            entries = _entries(path, seen)
        except FileNotFoundError:
            if inside == PurePosixPath():
                raise
            continue  # it has just been removed
        except OSError as error:
            raise _unreadable(shown, inside, error) from None
        for entry in entries:
            if entry.name.endswith(".py") or not is_folder(entry):
                yield inside, entry
            elif is_visited(entry.name):
                (links if entry.is_symlink() else todo).append((inside / entry.name, path / entry.name))


def _entries(path: Path, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """Return what is in the folder ``path``; nothing if it is in ``seen``, or a virtual environment."""
    found = path.stat()
    if (found.st_dev, found.st_ino) in seen:
        return []
    seen.add((found.st_dev, found.st_ino))
    with os.scandir(path) as entries:
        listed = list(entries)
    return [] if any(entry.name == _VIRTUAL_ENVIRONMENT for entry in listed) else listed


def _unreadable(shown: str, inside: PurePosixPath, error: OSError) -> ProjectError:
    """The error about a folder that cannot be read: the migrations in it would not run."""
    if inside == PurePosixPath():
        return ProjectError(
            f"{shown}/ cannot be read: {error.strerror}.", "It must be a folder that you may read."
        )
    return ProjectError(
        f"{shown}/{inside}/ cannot be read: {error.strerror}.",
        "There may be migrations in it. Make it readable, or move it elsewhere.",
    )


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
