"""Where the files of a project are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

FOLDER = "migrations"
SETTINGS_FILE = "settings.py"
SETTINGS = Path(FOLDER) / SETTINGS_FILE
QUERY_SETS = "querysets"
PYPROJECT = "pyproject.toml"


@dataclass(frozen=True)
class EnvFile:
    """A file with environment variables; ``asked_by`` is what asks for it, as messages name it.

    One that is not ``required`` may be missing, as it is where the variables are set otherwise.
    """

    path: Path
    asked_by: str
    required: bool = False


@dataclass(frozen=True)
class Place:
    """Where the files of the project at ``root`` are.

    ``folder`` is the one with the migrations, relative to ``root``, such as ``db/migrations``;
    ``settings_file`` is the name of the settings in it. ``env_file`` is read before the settings, None if
    only these may ask for one.
    """

    root: Path
    folder: str = FOLDER
    settings_file: str = SETTINGS_FILE
    env_file: EnvFile | None = None

    @property
    def settings(self) -> Path:
        """The settings, relative to the root."""
        return Path(self.folder) / self.settings_file

    @property
    def privacy(self) -> Path:
        """The rules that mask, relative to the root."""
        return Path(self.folder) / "privacy.py"


def is_inside(folder: str) -> bool:
    """Whether ``folder`` is a relative path that leads to a folder in the one that it is relative to."""
    path = PurePosixPath(folder)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
