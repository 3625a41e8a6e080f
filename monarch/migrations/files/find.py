"""Finding migrations: all files that are named like one, or the one that a person selects."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from monarch.errors import ProjectError
from monarch.migrations.files.misnamed import refuse_if_like_a_migration
from monarch.migrations.files.names import PATTERN
from monarch.settings.paths import FOLDER, where_else
from monarch.system.spelling import suggest_carefully

# Names in the folder that are no migrations.
_OTHERS = ("__init__.py", "settings.py", "privacy.py", "__pycache__")


@dataclass(frozen=True)
class MigrationFile:
    """A file that follows the naming rule. ``key`` is its name in the history."""

    path: Path
    stamp: str
    name: str

    @property
    def key(self) -> str:
        return f"_{self.stamp}_{self.name}_migration"

    @property
    def shown_path(self) -> str:
        return f"{FOLDER}/{self.path.name}"


class UnknownMigration(ProjectError):
    """No migration is called as a person has ``selected``."""

    def __init__(self, selected: str, hint: str | None) -> None:
        super().__init__(f"There is no migration {selected!r}.", hint)
        self.selected = selected


def checksum(file: MigrationFile) -> str:
    """The SHA-256 of a file's text, regardless of how git converts the ends of its lines.

    :raises ProjectError: if it cannot be read.
    """
    from hashlib import sha256  # it loads OpenSSL, which most runs do not need

    try:
        content = file.path.read_bytes()
    except OSError as error:
        hint = "It must be a file that you may read."
        raise ProjectError(f"{file.shown_path} cannot be read: {error.strerror}.", hint) from None
    return sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def find_migrations(root: Path) -> tuple[MigrationFile, ...]:
    """The migrations of the project in ``root``, in the order in which they run: by file name.

    :raises ProjectError: if the folder is missing or cannot be read, or if a file looks like a migration
        but is not named like one.
    """
    folder = root / FOLDER
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        raise ProjectError(f"There is no folder {FOLDER}/ here ({root}).", where_else(root)) from None
    except OSError as error:
        raise ProjectError(
            f"{FOLDER}/ cannot be read: {error.strerror}.", "It must be a folder that you may read."
        ) from None
    files = []
    for entry in entries:
        match = PATTERN.fullmatch(entry.name)
        if match and entry.is_file():
            files.append(MigrationFile(folder / entry.name, match["stamp"], match["name"]))
        elif not entry.name.startswith(".") and entry.name not in _OTHERS:  # macOS and Emacs write such files
            refuse_if_like_a_migration(folder / entry.name)
    return tuple(files)


def find_migration(files: tuple[MigrationFile, ...], selected: str) -> MigrationFile:
    """Return the migration that ``selected`` names: by its key, file name, path, or name.

    :raises UnknownMigration: if there is none, naming the nearest one.
    :raises ProjectError: if several have that name.
    """
    stem = Path(selected).name.removesuffix(".py")
    for matches in (
        [file for file in files if file.key == stem],
        [file for file in files if file.name == stem],
        [file for file in files if f"{file.name}_migration" == stem],
    ):
        if len(matches) > 1:
            keys = ", ".join(file.key for file in matches)
            raise ProjectError(
                f"{selected!r} is the name of {len(matches)} migrations: {keys}.", "Use one of these keys."
            )
        if matches:
            return matches[0]
    names = [file.name for file in files]
    hint = suggest_carefully(stem, names, otherwise="Write one with `monarch generate NAME`.")
    raise UnknownMigration(selected, hint)
