"""The folder in ``migrations/`` into which a new migration is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from monarch.errors import UsageError
from monarch.migrations.files.find import MigrationFile
from monarch.migrations.files.walk import is_visited
from monarch.settings.paths import FOLDER

# How people call the folders of a year or of a month.
_DATED = (
    "{year}",
    "{year}/{month}",
    "{year}/{year}-{month}",
    "{year}-{month}",
    "{year}_{month}",
    "{year}{month}",
)


def parse_folder(text: str, within: str = FOLDER) -> str:
    """Return the folder in ``migrations/`` that ``text`` names, as in `MigrationFile`.

    :param within: what ``migrations/`` is called in the project.
    :raises UsageError: if it is outside, or one in which no migration is looked for.
    """
    path = PurePosixPath(text.strip().replace("\\", "/"))
    with suppress(ValueError):
        path = path.relative_to(within)
    wrong = None
    if path.is_absolute() or ".." in path.parts:
        wrong = f"is not in {FOLDER}/"
    elif any(not is_visited(part) or part.endswith(".py") for part in path.parts):
        wrong = "is one in which monarch looks for no migrations"
    elif not text.isprintable():
        wrong = "has a character in it that is not printable"
    if wrong:
        raise UsageError(
            f"The folder {text!r} {wrong}.",
            f"Name a folder in {FOLDER}/, such as 2026; . is {FOLDER}/ itself.",
        )
    return "" if path == PurePosixPath() else str(path)


def usual_folder(files: Sequence[MigrationFile], stamp: str) -> str:
    """Return the folder for a migration of the time ``stamp``, after all of ``files``.

    It is ``migrations/`` itself, unless the newest migration is in a folder called like its year or month:
    then so is the new one.
    """
    if files:
        newest = files[-1]
        for form in _DATED:
            if newest.folder == _dated(form, newest.stamp):
                return _dated(form, stamp)
    return ""


def _dated(form: str, stamp: str) -> str:
    return form.format(year=stamp[:4], month=stamp[4:6])
