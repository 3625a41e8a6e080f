"""Folders of local stores: their files, and writers that can be killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.stores.base import Store
from tests.stores.contract import HALF

_WRITER = """
import sys
from pathlib import Path
from monarch.stores.local.store import LocalStore

store = LocalStore(Path(sys.argv[1]))
for name in sys.stdin.readline().rstrip("\\n").split("/"):
    upload = store.create(name)
    upload.write(sys.argv[2].encode())
print("begun", flush=True)
sys.stdin.read()
"""


def file_names(folder: Path) -> list[str]:
    """The names of all entries of ``folder``."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def writing(store: Store, names: Iterable[str]) -> Iterator[None]:
    """Run a process that keeps unfinished files of ``store`` open; kill it at the end."""
    command = [sys.executable, "-c", _WRITER, store.place, HALF.decode()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write("/".join(names) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "begun\n"
            yield
        finally:
            process.kill()
