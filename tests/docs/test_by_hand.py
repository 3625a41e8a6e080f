"""The lines with which the manual restores a backup of PostgreSQL without monarch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, blocks
from tests.support.runs.shell import Folder
from tests.support.samples.ages import make_key
from tests.support.servers.mongod import PASSWORD, USER
from tests.support.servers.postgres import PostgresServer, empty_database

CONTENTS = "SELECT string_agg(format('%s %s', id, name), ', ' ORDER BY id) FROM dogs"
MIGRATION = """\
from monarch import PostgresBackedMigration


class DogsMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("CREATE TABLE dogs (id int PRIMARY KEY, name text)")
        self.connection.execute("INSERT INTO dogs VALUES (1, 'Rex'), (2, 'Bella')")
"""
HISTORY = "SELECT count(*) FROM monarch_history.history"


@pytest.mark.parametrize("version", ["15"])
@pytest.mark.parametrize("page", ["postgres.rst", "recovery.rst"])
def test_a_backup_of_postgresql_is_restored_by_hand(
    folder: Folder, version: str, page: str, run_version: Callable[[str], PostgresServer]
) -> None:
    """As it is, by the lines of one page; and encrypted, by those of the other and the real age."""
    encrypted = page == "recovery.rst"
    if encrypted and shutil.which("age") is None:
        assert "CI" not in os.environ, "install Debian's age"
        pytest.skip("age is not installed")
    server = run_version(version)
    lines = [block for block in blocks(DOCS / page) if "pg_restore" in block.text]
    assert len(lines) == 1
    environ = os.environ | {
        "PATH": f"{programs(folder, server)}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": "localhost",
        "PGPORT": str(server.port),
        "PGUSER": USER,
        "PGPASSWORD": PASSWORD,
    }
    folder.variables["PATH"] = environ["PATH"]
    folder.write("migrations/_201405290038_dogs_migration.py", MIGRATION)
    with empty_database(server) as environment:
        folder.settings(billing={"uri": server.uri(environment.db_name)})
        folder.keep_backups()
        if encrypted:
            folder.encrypt_backups(make_key(folder.path / "keys.txt").recipient)
        assert folder.monarch("migrate", "billing").code == 0
        made = folder.monarch("backup", "billing", "--name", "before_release")
        assert made.code == 0, made.err
    (archive,) = (path for path in (folder.path / "backups").glob("before_*") if path.suffix != ".json")
    script = re.sub(r"before_release__\d{4}_\d\d_\d\d\.dmp[a-z.]+", archive.name, lines[0].commands)
    assert archive.name in script
    assert ("age" in archive.name) == encrypted
    assert restored_by(script, folder, server, environ) == ("1 Rex, 2 Bella",)


def restored_by(script: str, folder: Folder, server: PostgresServer, environ: dict[str, str]) -> object:
    """Run ``script``, which makes the database ``app``; return what it holds, and drop it."""
    try:
        done = subprocess.run(
            ["bash", "-c", f"set -eo pipefail\n{script}"],
            cwd=folder.path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        with server.connect("app") as connection:
            assert connection.execute(HISTORY).fetchone() == (1,)
            return connection.execute(CONTENTS).fetchone()
    finally:
        server.drop("app")


def programs(folder: Folder, server: PostgresServer) -> Path:
    """Return a folder with the client programs of ``server``, and zstd, or the same in Python."""
    made = folder.path / "bin"
    made.mkdir()
    for name in ("createdb", "pg_dump", "pg_restore", "psql"):
        (made / name).symlink_to(server.programs / name)
    if shutil.which("zstd") is None:
        module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        script = (
            f"import shutil, sys; from {module} import open\n"
            "shutil.copyfileobj(open(sys.argv[2]), sys.stdout.buffer)"
        )
        (made / "zstd").write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{script}' \"$@\"\n")
        (made / "zstd").chmod(0o755)
    return made
