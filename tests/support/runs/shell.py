"""Run monarch's real command line in a folder, with or without a terminal."""

from __future__ import annotations

import atexit
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import pexpect
import pytest
from bson import ObjectId
from pymongo.database import Database

from monarch.commands import cli
from tests.support import counts
from tests.support.runs import forks
from tests.support.runs.forks import Forks
from tests.support.servers.mongod import Server

MONARCH = [sys.executable, "-m", "monarch"]
_TIMEOUT = 120  # seconds


@cache
def _forks() -> Forks:
    """The one of this process, from its first command on."""
    started = Forks()
    atexit.register(started.close)
    return started


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def output(self) -> str:
        return self.out + self.err


class Folder:
    """The folder of a project, and commands in it."""

    def __init__(self, path: Path, server: Server | None = None) -> None:
        self.path = path
        self.server = server
        self.db_name = f"t_{ObjectId()}"
        self.variables: dict[str, str] = {}

    def monarch(
        self, *arguments: str, prefix: Sequence[str] = (), variables: Mapping[str, str] = {}
    ) -> CommandResult:
        """Run a command without a terminal, as CI does.

        With reduced counts it runs in a fork of a process that has imported monarch, which starts faster.
        """
        environ = {**self._environ(), **variables}
        if not prefix and forks.can_replace(environ) and counts.is_reduced():
            process = _forks().run(arguments, self.path, environ, _TIMEOUT)
        else:
            process = subprocess.run(
                [*prefix, *MONARCH, *arguments],
                cwd=self.path,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        return CommandResult(process.returncode, process.stdout, process.stderr)

    def invoke(
        self, *arguments: str, prefix: Sequence[str] = (), variables: Mapping[str, str] = {}
    ) -> CommandResult:
        """Run a command in this process, which is faster; for commands that only read or report.

        A prefix or variables require a separate process. This process may import the source tree, which lacks
        the templates of an installed package.
        """
        if prefix or variables:
            return self.monarch(*arguments, prefix=prefix, variables=variables)
        out, err = io.StringIO(), io.StringIO()
        with chdir(self.path), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            cli.main(list(arguments), prog_name="monarch")
        assert isinstance(end.value.code, int)
        return CommandResult(end.value.code, out.getvalue(), err.getvalue())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the background, its output in pipes."""
        return subprocess.Popen(
            [*MONARCH, *arguments],
            cwd=self.path,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, *arguments: str, columns: int = 100, term: str = "xterm") -> pexpect.spawn[str]:
        """Run a command in a terminal of type ``term``, ``columns`` wide."""
        return pexpect.spawn(
            MONARCH[0],
            [*MONARCH[1:], *arguments],
            cwd=str(self.path),
            env={**self._environ(), "TERM": term},
            encoding="utf-8",
            timeout=120,
            dimensions=(24, columns),
        )

    def write(self, name: str, text: str) -> Path:
        """Write a file below the folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def settings(self, **environments: Mapping[str, Any]) -> None:
        """Write settings with ``environments``."""
        self.write("migrations/settings.py", f"ENVIRONMENTS = {environments!r}\n")

    def keep_backups(self, backup_dir: str = "backups") -> Path:
        """Configure ``backup_dir`` as the store of backups; return that folder, which is not created."""
        with (self.path / "migrations/settings.py").open("a", encoding="utf-8") as settings:
            settings.write(f"BACKUPS = {{'LOCAL': {{'backup_dir': {backup_dir!r}}}}}\n")
        return self.path / backup_dir

    def encrypt_backups(self, *recipients: str, identities: Path | None = None) -> None:
        """Encrypt backups from now on; ``identities`` is the file of private keys, None if there is none."""
        entry = {"recipients": list(recipients), "identities": str(identities) if identities else None}
        with (self.path / "migrations/settings.py").open("a", encoding="utf-8") as settings:
            settings.write(f"BACKUPS['encrypt'] = {entry!r}\n")

    def migration(self, name: str, body: str = "pass", stamp: str | None = None) -> str:
        """Write a migration whose ``run`` is ``body``, after the existing ones; return its key."""
        number = len(list((self.path / "migrations").glob("_*_migration.py")))
        key = f"_{stamp or f'20140529{number:04}'}_{name}_migration"
        class_name = "".join(part.capitalize() for part in name.split("_"))
        lines = "\n".join("        " + line for line in dedent(body).strip().splitlines())
        source = (
            "from monarch import MongoBackedMigration, echo, progressbar\n\n\n"
            f"class {class_name}Migration(MongoBackedMigration):\n    def run(self):\n{lines}\n"
        )
        self.write(f"migrations/{key}.py", source)
        return key

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The database of the environments ``dev`` and ``production``."""
        assert self.server is not None
        return self.server.client()[self.db_name]

    def states(self) -> dict[str, str]:
        """The states in the database's history, by key."""
        return {row["key"]: row["state"] for row in self.database.mongo_migration_history.find()}

    def files(self) -> dict[str, bytes]:
        """The contents of all files in the folder, by path, to check that nothing changed."""
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.variables}
