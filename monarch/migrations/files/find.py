"""Finding migrations: all files that are named like one, or the one that a person selects."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from monarch.errors import ProjectError
from monarch.migrations.files.misnamed import refuse_if_any_is_like_a_migration
from monarch.migrations.files.names import PATTERN, shown_key
from monarch.migrations.files.walk import is_file, walk
from monarch.settings.paths import FOLDER
from monarch.settings.search import place_at, where_else
from monarch.system.spelling import suggest_carefully

# Names in the folder that are no migrations.
_OTHERS = ("__init__.py", "settings.py", "privacy.py")


@dataclass(frozen=True)
class MigrationFile:
    """A file that follows the naming rule. ``key`` is its name in the history.

    ``folder`` is the one in ``migrations/`` that it is in, such as ``2026/11``; "" is ``migrations/`` itself.
    ``within`` is what that is called in the project.
    """

    path: Path
    stamp: str
    name: str
    folder: str = ""
    within: str = FOLDER

    @property
    def key(self) -> str:
        return f"_{self.stamp}_{self.name}_migration"

    @property
    def shown_path(self) -> str:
        return "/".join(part for part in (self.within, self.folder, self.path.name) if part)

    @property
    def top(self) -> Path:
        """The folder of all migrations."""
        return self.path.parents[len(Path(self.folder).parts)]


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

    They are in ``migrations/`` and in the folders in it. Which folder one is in means nothing.

    :raises ProjectError: if the folder is missing or cannot be read, if two files have one name, or if a file
        looks like a migration but is not named like one.
    """
    place = place_at(root)
    folder, known = root / place.folder, (*_OTHERS, place.settings_file)
    files, others = [], []
    try:
        for inside, entry in walk(folder, place.folder):
            match = PATTERN.fullmatch(entry.name)
            if match and is_file(entry):
                where = _shown_folder(inside)
                path = folder / inside / entry.name
                files.append(MigrationFile(path, match["stamp"], match["name"], where, place.folder))
            elif _may_be_code(entry.name) and (inside.name or entry.name not in known):
                others.append(inside / entry.name)
    except FileNotFoundError:
        raise ProjectError(f"There is no folder {place.folder}/ here ({root}).", where_else(root)) from None
    files.sort(key=lambda file: (file.path.name, file.folder))
    for one, other in pairwise(files):
        if one.key == other.key:
            raise _same_name(one, other)
    refuse_if_any_is_like_a_migration(folder, sorted(others), [file.path for file in files])
    return tuple(files)


def _may_be_code(name: str) -> bool:
    # macOS and Emacs write files whose names begin with a dot.
    return name.lower().endswith(".py") and not name.startswith(".")


def _same_name(one: MigrationFile, other: MigrationFile) -> ProjectError:
    hint = "Delete one of them, or rename the one that has not run anywhere yet."
    with suppress(ProjectError):
        if checksum(one) == checksum(other):
            hint = "Their contents are the same: delete one of them."
    return ProjectError(
        f"Two migrations have the name {one.path.name}: {one.shown_path} and {other.shown_path}.",
        f"A migration is recorded by the name of its file. {hint}",
    )


def _shown_folder(inside: PurePosixPath) -> str:
    """Return the folder of a migration as `MigrationFile` has it: reports and CI systems show it."""
    where = str(inside) if inside.name else ""
    if not where.isprintable():
        raise ProjectError(
            f"The name of the folder {FOLDER}/{where} has a character that is not printable.", "Rename it."
        )
    return where


def find_migration(files: tuple[MigrationFile, ...], selected: str) -> MigrationFile:
    """Return the migration that ``selected`` names: by its key, shown key, file name, path, or name.

    :raises UnknownMigration: if there is none, naming the nearest one.
    :raises ProjectError: if several have that name.
    """
    stem = Path(selected).name.removesuffix(".py")
    for matches in (
        [file for file in files if file.key == stem],
        [file for file in files if shown_key(file.key) == stem],
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
