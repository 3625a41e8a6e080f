"""``migrate`` with nothing to do, beside other tools: ``python -m benchmarks.migrations [--rounds N]``.

Run it from the top of the repository.

What monarch, migrate-mongo, pymongo-migrate and mongodb-migrations do in a deployment that brings no
migration, over 0, 100, 1,000 and 10,000 that have run: all of each command, the start of Python or of Node
included. Each tool has a project of its own for each number. The first migration of it is run by the tool
itself; the others are files like that one, and are recorded as the tool has recorded that one. And monarch
beside ``python -c 'import pymongo'``, the least that any Python command for MongoDB can cost.

Commands are counted by the tests' proxy, on the way to the server and for all tools alike, in a run of their
own that is not timed: all but those that a driver sends by itself (hello, saslStart, saslContinue, ping,
endSessions). Nothing may be written in that run.

Starts a server of its own, which asks for a password. Installs the other tools into its temporary folder,
with pip and npm as they are set up where it runs, and pymongo for them in monarch's version; a tool that does
not install is left out, and the output says so. A tool that fails is not timed, and the output says how it
failed. Some 3 minutes.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pymongo import MongoClient

from benchmarks.pairs import Timed, paired_ratio, print_head, print_row, time_in_turns
from benchmarks.sample import Client, Document
from monarch.project import Project
from tests.support.servers.proxy import Proxy

ROUNDS = 20
SIZES = (0, 100, 1_000, 10_000)
# Limits of the ratios of monarch to the base, and of many migrations to none; for sizes up to the third.
LIMIT, GROWTH, LIMITED = 1.7, 1.2, 1_000
BASE = "python -c 'import pymongo'"
# The variable with the address of the server, for tools with a settings file.
SERVER = "BENCHMARK_SERVER"


@dataclass(frozen=True)
class Tool(ABC):
    """A tool for migrations, and the layout of its projects.

    Each of its ``histories`` has one document for each migration that has run. The field ``key`` identifies
    the migration.
    """

    program: Path
    name: ClassVar[str]
    version: ClassVar[str]
    # The name of its program.
    script: ClassVar[str]
    histories: ClassVar[tuple[str, ...]]
    key: ClassVar[str]

    @abstractmethod
    def command(self, uri: str) -> list[str]:
        """Return the command that runs pending migrations on ``uri``, in the folder of a project."""

    @abstractmethod
    def file(self, number: int) -> tuple[str, str]:
        """The name and the text of a migration that does nothing."""

    @abstractmethod
    def key_of(self, number: int) -> str:
        """Return the value of the field ``key`` for that migration."""

    def settings(self, database: str) -> Mapping[str, str]:
        """The files of settings of a project, if the tool has any: their text by their names."""
        return {}


class Monarch(Tool):
    name = script = "monarch"
    version = metadata.version("monarch")
    # The journal has a document for each attempt, so one for each migration that has run.
    histories = ("mongo_migration_history", "mongo_migration_journal")
    key = "key"

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "migrate", "dev"]

    def file(self, number: int) -> tuple[str, str]:
        return f"{self.key_of(number)}.py", (
            "from monarch import MongoBackedMigration\n\n\n"
            "class NothingMigration(MongoBackedMigration):\n    def run(self):\n        pass\n"
        )

    def key_of(self, number: int) -> str:
        return f"_{stamp(number)}_nothing_migration"

    def settings(self, database: str) -> Mapping[str, str]:
        environment = f"{{'uri': os.environ['{SERVER}'], 'db_name': '{database}'}}"
        return {"migrations/settings.py": f"import os\n\nENVIRONMENTS = {{'dev': {environment}}}\n"}


class MigrateMongo(Tool):
    name = script = "migrate-mongo"
    version = "14.0.7"
    histories = ("changelog",)
    key = "fileName"

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "up"]

    def file(self, number: int) -> tuple[str, str]:
        return self.key_of(number), "module.exports = { async up() {}, async down() {} };\n"

    def key_of(self, number: int) -> str:
        return f"{stamp(number)}-nothing.js"

    def settings(self, database: str) -> Mapping[str, str]:
        # As `migrate-mongo init` writes it, without the comments.
        return {
            "migrate-mongo-config.js": "module.exports = {\n"
            f"  mongodb: {{ url: process.env.{SERVER}, databaseName: '{database}', options: {{}} }},\n"
            "  migrationsDir: 'migrations',\n"
            "  changelogCollectionName: 'changelog',\n"
            "  lockCollectionName: 'changelog_lock',\n"
            "  lockTtl: 0,\n"
            "  migrationFileExtension: '.js',\n"
            "  useFileHash: false,\n"
            "  moduleSystem: 'commonjs',\n"
            "};\n"
        }


class PyMongoMigrate(Tool):
    name = script = "pymongo-migrate"
    version = "1.0.0"
    histories = ("pymongo_migrate",)
    key = "name"

    def command(self, uri: str) -> list[str]:
        database = urlsplit(uri).path.strip("/")
        return [str(self.program), "migrate", "-u", uri, "-d", database, "-m", "migrations"]

    def file(self, number: int) -> tuple[str, str]:
        # Each depends on the one before, as its own `generate` has it: it takes no other order.
        before = [self.key_of(number - 1)] if number else []
        return f"{self.key_of(number)}.py", (
            f"name = {self.key_of(number)!r}\ndependencies = {before!r}\n\n\n"
            "def upgrade(db):\n    pass\n\n\ndef downgrade(db):\n    pass\n"
        )

    def key_of(self, number: int) -> str:
        return f"{stamp(number)}_nothing"


class MongoDBMigrations(Tool):
    name, script = "mongodb-migrations", "mongodb-migrate"
    version = "1.3.1"
    histories = ("database_migrations",)
    key = "migration_datetime"

    def command(self, uri: str) -> list[str]:
        return [str(self.program), "--url", uri, "--migrations", "migrations"]

    def file(self, number: int) -> tuple[str, str]:
        return f"{self.key_of(number)}_nothing.py", (
            "from mongodb_migrations.base import BaseMigration\n\n\n"
            "class Migration(BaseMigration):\n"
            "    def upgrade(self):\n        pass\n\n    def downgrade(self):\n        pass\n"
        )

    def key_of(self, number: int) -> str:
        return stamp(number)


def stamp(number: int) -> str:
    """Return a date for the beginning of a file name, as long as monarch's."""
    return f"2014{number:08}"


@dataclass(frozen=True)
class Case:
    """A tool with ``size`` migrations that have run; the ``commands`` it sends, or its ``error``."""

    tool: Tool
    size: int
    folder: Path
    uri: str
    commands: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.tool.name}, {self.size:,}"

    def command(self, uri: str | None = None) -> list[str]:
        """Return the command that runs pending migrations; ``uri`` replaces the address of the database."""
        uri = uri or self.uri
        return inside(self.folder, self.tool.command(uri), {SERVER: uri})


def inside(folder: Path, command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Return a command that runs ``command`` in ``folder`` with these environment variables."""
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in variables.items())
    return ["sh", "-c", f"{exports}cd {shlex.quote(str(folder))} && exec {shlex.join(command)}"]


@contextmanager
def run_server(folder: Path) -> Iterator[str]:
    """Start an embedded server, which requires a password, and yield its URI."""
    (folder / "migrations").mkdir(parents=True)
    settings = "ENVIRONMENTS = {'dev': {'embedded': True, 'db_name': 'app'}}\n"
    (folder / "migrations" / "settings.py").write_text(settings)
    with Project(folder).open("dev") as database:
        yield str(database.handles()["uri"])


def install_peers(folder: Path) -> tuple[list[Tool], list[str]]:
    """The other tools, installed into ``folder``; and a line for each that does not install."""
    found: list[Tool] = []
    missing = []
    peers: Mapping[type[Tool], Callable[[Path, type[Tool]], Path | None]] = {
        MigrateMongo: install_with_npm,
        PyMongoMigrate: install_with_pip,
        MongoDBMigrations: install_with_pip,
    }
    for kind, install in peers.items():
        programs = install(folder / f"{kind.name}_itself", kind)
        if programs is None:
            missing.append(f"{kind.name} {kind.version} is left out: it does not install here")
        else:
            found.append(kind(programs / kind.script))
    return found, missing


def install_with_npm(folder: Path, kind: type[Tool]) -> Path | None:
    """The folder of its programs."""
    if shutil.which("npm") is None:
        return None
    folder.mkdir()
    # With a prefix, because otherwise npm looks for a project in the folders above.
    options = ["--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel", "error"]
    command = ["npm", "install", *options, "--fetch-retries", "1", f"{kind.name}@{kind.version}"]
    return folder / "node_modules" / ".bin" if succeeds(command) else None


def install_with_pip(folder: Path, kind: type[Tool]) -> Path | None:
    """The folder of its programs, in a virtual environment of its own."""
    programs = folder / "bin"
    # Isolated from the packages that are installed for the benchmark.
    pip = [str(programs / "python"), "-I", "-m", "pip"]
    options = ["--quiet", "--disable-pip-version-check", "--retries", "1"]
    # With the same driver as monarch, so that only the tools differ.
    driver = f"pymongo=={metadata.version('pymongo')}"
    made = succeeds([sys.executable, "-m", "venv", str(folder)])
    install = [*pip, "install", *options, f"{kind.name}=={kind.version}", driver]
    return programs if made and succeeds(install) else None


def succeeds(command: Sequence[str]) -> bool:
    """Run ``command`` and show its errors; return whether it succeeded."""
    return subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0


def describe_tools(peers: Sequence[Tool], client: Client) -> str:
    versions = [
        f"MongoDB {client.server_info()['version']}",
        *(f"{tool.name} {tool.version}" for tool in peers),
    ]
    if any(isinstance(tool, MigrateMongo) for tool in peers):
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
        versions.append(f"Node {node.strip().removeprefix('v')}")
    return ", ".join(versions)


def prepare(tool: Tool, size: int, top: Path, client: Client, server: str) -> Case:
    """A project with ``size`` migrations that have all run, on a database of its own."""
    database = f"{tool.name}_{size}"
    case = Case(tool, size, top / database, aim(server, database=database))
    (case.folder / "migrations").mkdir(parents=True)
    for name, text in tool.settings(database).items():
        (case.folder / name).write_text(text)
    write_files(case, range(min(size, 1)))
    error = try_out(case.command())
    if error is not None:
        return replace(case, error=error)
    write_files(case, range(1, size))
    record_others(case, client)
    error, commands = count_commands(case, client)
    return replace(case, error=error, commands=commands)


def write_files(case: Case, numbers: range) -> None:
    for number in numbers:
        name, text = case.tool.file(number)
        (case.folder / "migrations" / name).write_text(text)


def record_others(case: Case, client: Client) -> None:
    """Record all but the first migration as the tool has recorded that one."""
    tool = case.tool
    database = client[database_of(case.uri)]
    for name in tool.histories if case.size > 1 else ():
        (first,) = database[name].find({}, {"_id": 0})
        if first[tool.key] != tool.key_of(0):
            sys.exit(f"{tool.name} has recorded {first} for {tool.key_of(0)}.")
        database[name].insert_many({**first, tool.key: tool.key_of(n)} for n in range(1, case.size))


def try_out(command: Sequence[str]) -> str | None:
    """Run a command; return None if it succeeds, else its error."""
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if ran.returncode == 0 else first_error(ran.stderr) or f"exit code {ran.returncode}"


def first_error(output: str) -> str:
    """Return the first line that is an error message, not part of a traceback."""
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith((" ", "Traceback"))]
    return lines[0] if lines else ""


def count_commands(case: Case, client: Client) -> tuple[str | None, int]:
    """Return the error of a run with nothing pending, if any, and the number of commands it sends."""
    database = client[database_of(case.uri)]
    before = database.command("dbHash")["md5"]
    with Proxy(urlsplit(case.uri).port or 0) as proxy:
        error = try_out(case.command(aim(case.uri, port=proxy.port)))
    if database.command("dbHash")["md5"] != before:
        sys.exit(f"{case.name}: it has changed the database, but nothing should be pending.")
    return error, len(proxy.commands)


def aim(uri: str, *, database: str | None = None, port: int | None = None) -> str:
    """``uri`` with another database or another port."""
    parts = urlsplit(uri)
    if database is not None:
        parts = parts._replace(path=f"/{database}")
    if port is not None:
        parts = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}")
    return parts.geturl()


def database_of(uri: str) -> str:
    return urlsplit(uri).path.strip("/")


def print_case(case: Case, times: Mapping[str, Timed]) -> None:
    """One line of the table: the median, the ratio to monarch with as many, and the commands."""
    if case.error is not None:
        print(f"{case.name:<28} {'fails':>9}      {case.error}")
        return
    timed = times[case.name]
    ours = f"monarch, {case.size:,}"
    ratio = ""
    if ours in times and case.name != ours:
        ratio = f"{paired_ratio(timed, times[ours]):5.2f} of monarch"
    plural = "" if case.commands == 1 else "s"
    print(f"{case.name:<28} {timed.median * 1000:9.1f} ms   {ratio:<16}   {case.commands:,} command{plural}")


def print_limits(cases: Sequence[Case], times: Mapping[str, Timed]) -> None:
    """Print the ratios of monarch to the base, and of many migrations to none."""
    ours = {case.size: times[case.name] for case in cases if isinstance(case.tool, Monarch)}
    base = times[BASE]
    print_row(base)
    for size, timed in ours.items():
        print_row(timed, paired_ratio(timed, base), base.name, LIMIT if size <= LIMITED else None)
    none = ours[0]
    for size, timed in ours.items():
        if size >= LIMITED:
            print_row(timed, paired_ratio(timed, none), none.name, GROWTH if size == LIMITED else None)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrations")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        peers, missing = install_peers(top)
        tools = [Monarch(Path(sys.executable).with_name("monarch")), *peers]
        with run_server(top / "server") as server:
            with MongoClient[Document](server) as client:
                versions = describe_tools(peers, client)
                cases = [prepare(tool, size, top, client, server) for size in SIZES for tool in tools]
            commands = {BASE: inside(top, [sys.executable, "-c", "import pymongo"], {})}
            commands |= {case.name: case.command() for case in cases if case.error is None}
            times = time_in_turns(commands, rounds)
    title = f"Nothing pending, median of {rounds} rounds taken in turns, server with a password"
    print_head(title, versions, *missing, "After each tool: the number of migrations that have run")
    for case in cases:
        print_case(case, times)
    print()
    print_limits(cases, times)


if __name__ == "__main__":
    main()
