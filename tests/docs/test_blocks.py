"""Every shell block of the manual runs, in order, in a project with real servers, or has a reason not to."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pytest
from bson import ObjectId

from monarch.project import Project
from tests.docs.blocks import PAGES, SHELLS, Block, blocks
from tests.support.servers.mongod import Server
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

RUN = [
    page for page in PAGES if any(block.language in SHELLS and not block.not_run for block in blocks(page))
]
# These pages begin with an empty folder, as a new user does.
FROM_NOTHING = ("README.rst", "start.rst")
WITH_S3 = ("stores.rst",)
# The databases of the page of PostgreSQL, which are its environments too.
POSTGRES = ("billing", "billing_dev")
_SUM = r"what is (\d+) \+ (\d+)[^\n]*: ?"
_SURE = r"\[y/N\]: ?"
_ANSWERS = {r"Please enter a account id[^\n]*: ?": "42", r"Enter ends it[^\n]*": ""}
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Reader:
    """Types the commands of a page into a terminal, and answers questions."""

    def __init__(self, folder: Path, home: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        programs = home / "bin"
        programs.mkdir(parents=True)
        for name, command in (
            ("monarch", f'"{sys.executable}" -m monarch'),
            ("python", f'"{sys.executable}"'),
        ):
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.variables = {**kept, "PATH": path, "HOME": str(home), "TERM": "xterm", **variables}
        self.variables["PAGER"] = "cat"  # nobody leaves a pager

    def run_script(self, script: str) -> str:
        """Run ``script`` in a terminal and return its output. The test fails unless it exits with 0."""
        # The next block begins in the folder in which the last one ended.
        where = self.folder.parent / "where"
        shell = pexpect.spawn(
            "bash",
            ["-c", f"set -eo pipefail\ncd '{self.folder}'\n{script}\npwd > '{where}'"],
            cwd=str(self.folder),
            env=self.variables,
            encoding="utf-8",
            timeout=120,
            dimensions=(60, 160),
        )
        shown = ""
        while (asked := shell.expect([pexpect.EOF, _SUM, _SURE, *_ANSWERS])) != 0:
            shown += f"{shell.before}{shell.after}"
            if asked == 1:
                assert isinstance(shell.match, re.Match)
                shell.sendline(str(int(shell.match[1]) + int(shell.match[2])))
            elif asked == 2:
                shell.sendline("y")
            else:
                shell.sendline(list(_ANSWERS.values())[asked - 3])
        shown += str(shell.before)
        shell.close()
        assert shell.exitstatus == 0, f"{script}\nended with {shell.exitstatus}:\n{shown}"
        self.folder = Path(where.read_text().strip())
        return shown

    def save_file(self, block: Block) -> None:
        """Write the file that a block shows; a ``*`` in its name matches an existing file."""
        assert block.file is not None
        if "*" in block.file:
            (path,) = self.folder.glob(block.file)
        else:
            path = self.folder / block.file
            path.parent.mkdir(exist_ok=True)
        path.write_text(block.text + "\n", encoding="utf-8")


def assert_shown(expected: str, shown: str) -> None:
    """Check that a line of the page is in the output. ``…`` matches any text, and spaces any spaces."""
    pieces = [r"\s+".join(map(re.escape, piece.split())) for piece in expected.strip().split("…")]
    assert re.search(".*".join(pieces), _ESCAPES.sub("", shown)), f"{expected!r} is not in\n{shown}"


def fill(server: Server) -> None:
    """Insert the sample data that the pages use."""
    with server.client() as client:
        database = client.app
        database.users.insert_many([{"_id": n, "email": f"Ann{n}@Example.com"} for n in range(5)])
        database.accounts.insert_many([{"_id": n} for n in (41, 42)])
        database.campaigns.insert_many([{"_id": n, "account_id": 41 + n % 2} for n in range(6)])
        orders: list[dict[str, Any]] = [
            {"_id": ObjectId(), "account_id": 42, "at": datetime(2026, month, 1)} for month in (1, 2)
        ]
        database.orders.insert_many(orders)


def avoid_midnight() -> None:
    """Wait until after midnight if it is near: the names of backups contain the date."""
    left = timedelta(days=1) - (datetime.now(UTC) - datetime.now(UTC).replace(hour=0, minute=0, second=0))
    if left < timedelta(seconds=100):
        time.sleep(left.total_seconds() + 1)


@pytest.fixture
def production(replica_set: Server) -> Iterator[Server]:
    """A server with a new database ``app`` for each page."""
    fill(replica_set)
    yield replica_set
    with replica_set.client() as client:
        client.drop_database("app")


def set_up(folder: Path, page: Path, request: pytest.FixtureRequest) -> None:
    """Create what a page assumes: settings, a store, migrations, a backup."""
    project = Project(folder)
    project.init()
    if page.name in WITH_S3:
        server: S3Server = request.getfixturevalue("s3")
        server.client().create_bucket(Bucket="our-backups")
        with (folder / "migrations" / "settings.py").open("a") as settings:
            settings.write(f"\nBACKUPS = {{'S3': {server.settings('our-backups', prefix='app')!r}}}\n")
    if page.stem != "migrations":
        written = project.generate("lower_case_emails")
        written.write_text(
            written.read_text().replace(
                "raise NotImplementedError", "self.database.users.count_documents({})"
            )
        )
    if page.stem == "recovery":
        project.backup("production")
    if page.stem in ("ci", "exit-codes"):
        project.migrate("production")


def set_up_postgres(folder: Path, server: PostgresServer) -> None:
    """Create what the page of PostgreSQL assumes: two databases, and a store."""
    for name in POSTGRES:
        server.drop(name)
        server.create(name)
    with server.connect("billing") as connection:
        connection.execute("CREATE TABLE users (id int PRIMARY KEY, name text)")
        connection.execute("CREATE TABLE dogs (id int PRIMARY KEY, owner int REFERENCES users)")
        connection.execute(
            "CREATE TABLE orders (id int PRIMARY KEY, state text, at timestamptz, buyer int REFERENCES users)"
        )
        connection.execute("CREATE TABLE items (order_id int REFERENCES orders)")
        connection.execute("CREATE TABLE visits (id int PRIMARY KEY)")
        connection.execute("CREATE TABLE logs (line text)")
        connection.execute("INSERT INTO users VALUES (1)")
        connection.execute("INSERT INTO dogs SELECT n, 1 FROM generate_series(1, 9) AS n")
    entries = {name: {"uri": server.uri(name)} for name in POSTGRES}
    settings = f"ENVIRONMENTS = {entries!r}\nBACKUPS = {{'LOCAL': {{'backup_dir': 'backups'}}}}\n"
    (folder / "migrations").mkdir()
    (folder / "migrations" / "settings.py").write_text(settings)


def has_embedded_server(folder: Path) -> bool:
    """Whether ``development`` of the project in ``folder``, if it is one, is an embedded environment."""
    project = Project(folder)
    return project.has_settings() and any(
        one.embedded and one.name == "development" for one in project.environments()
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_shell_blocks_of(
    page: Path,
    tmp_path: Path,
    production: Server,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avoid_midnight()
    folder = tmp_path / "shop"
    folder.mkdir()
    variables = {"PRODUCTION_MONGODB_URI": production.uri}
    monkeypatch.setenv("PRODUCTION_MONGODB_URI", production.uri)
    reader = Reader(folder, tmp_path / "home", variables)
    if page.stem == "postgres":
        set_up_postgres(folder, request.getfixturevalue("postgres"))
    elif page.name not in FROM_NOTHING:
        set_up(folder, page, request)
    with ExitStack() as server:
        running = False
        for block in blocks(page):
            if not running and has_embedded_server(reader.folder):
                # Keep one server for all commands of the page, instead of starting one for each.
                server.enter_context(Project(reader.folder).open("development"))
                running = True
            if block.file is not None:
                reader.save_file(block)
            elif block.language in SHELLS and block.not_run is None:
                shown = reader.run_script(block.commands)
                for line in block.output:
                    assert_shown(line, shown)


def test_the_reader_notices_a_failure_and_a_missing_line(tmp_path: Path) -> None:
    """Proves that the tests above can fail."""
    reader = Reader(tmp_path, tmp_path / "home", {})
    with pytest.raises(AssertionError, match="ended with 2"):
        reader.run_script("monarch migrate nowhere")
    with pytest.raises(AssertionError, match="is not in"):
        assert_shown("Wrote migrations/…_b.py", "Wrote migrations/_2_a.py")
    assert_shown("Wrote migrations/…_a.py", "\x1b[1mWrote   migrations/_2_a.py")


def test_pages_with_shell_blocks_are_found() -> None:
    assert len(RUN) >= 10
