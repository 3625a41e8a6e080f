"""Fixtures: a real server that requires a password, and a project that uses it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support import clean_process, counts
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server, run_replica_set, run_server, run_tls_server
from tests.support.servers.old_mongods import OldProgram, install_mongod
from tests.support.servers.postgres import PostgresServer, run_postgres
from tests.support.servers.postgres_versions import find_postgres
from tests.support.servers.s3 import S3Server, run_s3
from tests.support.servers.tools import find_tools, why_none

_HERE = Path(__file__).parent
SERVER_FIXTURES = {
    *(
        "server",
        "replica_set",
        "tls_server",
        "project",
        "embedded_project",
        "database",
        "tools",
        "s3",
        "postgres",
        "run_version",
    )
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("monarch", "how many cases the long tests run")
    group.addoption("--counts", choices=counts.MODES, default="reduced", help="a sample of the cases, or all")
    group.addoption(
        "--counts-seed", type=int, help="the seed of the sample, to repeat a run (default: a new one)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Clean this process, and choose the counts."""
    home = tempfile.mkdtemp(prefix="monarch-test-home-")
    config.add_cleanup(lambda: shutil.rmtree(home))
    clean_process.clean(Path(home))
    if (worker := getattr(config, "workerinput", None)) is not None:
        config.option.counts_seed = worker["counts_seed"]
    elif config.option.counts_seed is None:
        config.option.counts_seed = random.randrange(10_000)
    counts.configure(_counts(config))
    # Tests with their own `max_examples` use `counts` directly.
    hypothesis.settings.register_profile("counts", max_examples=counts.number(reduced=30, full=100))
    hypothesis.settings.load_profile("counts")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Let every worker of xdist draw the same sample."""
    node.workerinput["counts_seed"] = node.config.option.counts_seed


def _counts(config: pytest.Config) -> counts.Counts:
    return counts.Counts(config.option.counts, config.option.counts_seed)


def pytest_report_header(config: pytest.Config) -> str:
    return _counts(config).describe()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests that need a server or a command by their fixtures; select a sample of the long tests."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if SERVER_FIXTURES & fixtures:
            item.add_marker(pytest.mark.server)
        elif "folder" in fixtures:
            item.add_marker(pytest.mark.command)
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if item.path.relative_to(_HERE).as_posix() in counts.LONG:
            modules.setdefault(item.path, []).append(item)
    chosen = {
        item
        for path, tests in modules.items()
        for item in counts.sample_of_long(tests, counts.LONG[path.relative_to(_HERE).as_posix()])
    }
    left = [item for tests in modules.values() for item in tests if item not in chosen]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item.path not in modules or item in chosen]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Report the counts, and how many tests were skipped because a tool is missing."""
    yield
    terminalreporter.write_line(_counts(terminalreporter.config).describe())
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(why_none() in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.write_line(f"{count} tests were left out. {why_none()}", yellow=True)


@pytest.fixture(scope="session")
def tools(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put first on the PATH, with the real mongodump and mongorestore."""
    # pytest's cache differs in every environment of tox, and this needs 0.7 GB.
    cache = pytestconfig.rootpath / ".pytest_cache" / "wine"
    cache.mkdir(parents=True, exist_ok=True)
    found = find_tools(cache, tmp_path_factory.mktemp("tools"))
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(why_none())
        pytest.skip(why_none())
    return found


@pytest.fixture(scope="session")
def install_old(pytestconfig: pytest.Config) -> Callable[[str], OldProgram]:
    """Install an older mongod by its version; where that is not possible, the test is skipped."""

    def install(version: str) -> OldProgram:
        try:
            return install_mongod(version, pytestconfig.rootpath / ".pytest_cache" / "mongods")
        except OSError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"MongoDB {version} cannot be installed: {error}")

    return install


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with run_postgres() as started:
        yield started


@pytest.fixture(scope="session")
def run_version(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], PostgresServer]]:
    """Return the PostgreSQL of a version, and start it if it does not run; 15 accepts TLS.

    Where it cannot be installed, the test is skipped. A test that uses one has the version in its name.
    """
    running: dict[str, PostgresServer] = {}
    with ExitStack() as stack:

        def run(version: str) -> PostgresServer:
            if version == "18":
                running[version] = request.getfixturevalue("postgres")
            if version not in running:
                programs = _find_postgres(version, pytestconfig.rootpath / ".pytest_cache" / "postgres")
                server = run_postgres(programs=programs, tls=version == "15")
                running[version] = stack.enter_context(server)
            return running[version]

        yield run


def _find_postgres(version: str, cache: Path) -> Path:
    try:
        return find_postgres(version, cache)
    except OSError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"No PostgreSQL {version}: {error}")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A mongod that requires a password full of special characters."""
    with run_server() as running:
        yield running


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A replica set of one member that requires the same password."""
    with run_replica_set(tmp_path_factory.mktemp("replica")) as running:
        yield running


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A mongod that accepts only TLS."""
    with run_tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, without a bucket."""
    with run_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry in botocore without waiting."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder without a server."""
    return Folder(tmp_path)


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Iterator[Folder]:
    """A project whose ``dev`` and ``production`` are the same new database on the server."""
    made = Folder(tmp_path, server)
    entry = {"uri": server.uri, "db_name": made.db_name}
    made.settings(dev=entry, production=entry)
    yield made
    with server.client() as client:
        client.drop_database(made.db_name)


@pytest.fixture
def embedded_project(tmp_path: Path) -> Folder:
    """A project whose ``dev`` is an embedded environment."""
    made = Folder(tmp_path)
    made.settings(dev={"embedded": True, "db_name": "app"})
    return made


@pytest.fixture
def plain_rights() -> list[str]:
    """A prefix for commands that makes file permissions apply to root, too."""
    if os.geteuid() != 0:
        return []
    without = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", "--"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB. Only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail("CI must be able to mount a small disk")
        pytest.skip("a full disk needs the right to mount a small one: run the tests as root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
