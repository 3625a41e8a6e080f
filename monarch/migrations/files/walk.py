"""The files in ``migrations/`` and in the folders in it, at any depth, without those of other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
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
    todo = [_Folder(PurePosixPath(), folder, folder.resolve())]
    links: list[_Folder] = []
    seen: set[Path] = set()
    while todo or links:
        # Links come last: the name of one is not shown if its folder is there, too.
        one = todo.pop() if todo else links.pop()
        if one.real in seen:
            continue
        seen.add(one.real)
        try:
            with os.scandir(one.path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            if one.path == folder:
                raise
            continue  # it has just been removed
        except OSError as error:
            raise _unreadable(shown, one.inside, error) from None
        if any(entry.name == _VIRTUAL_ENVIRONMENT for entry in entries):
            continue
        for entry in entries:
            if entry.name.endswith(".py") or not is_folder(entry):
                yield one.inside, entry
            elif is_visited(entry.name):
                (links if entry.is_symlink() else todo).append(one.enter(entry))


@dataclass(frozen=True)
class _Folder:
    """The folder ``path``, which is ``inside`` the folder of the migrations, and in fact ``real``."""

    inside: PurePosixPath
    path: Path
    real: Path

    def enter(self, entry: os.DirEntry[str]) -> _Folder:
        path = self.path / entry.name
        # Not by its inode: some file systems have none.
        real = path.resolve() if entry.is_symlink() else self.real / entry.name
        return _Folder(self.inside / entry.name, path, real)


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
