"""The journal that arrives with a copy: by every pair of engines, after a kill, and an unusual one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from monarch.databases.history import Action, Operation
from monarch.system.ci import Origin
from tests.databases.mongo.engines.test_pairs import PAIRS, Small, scratch, small_between
from tests.support import counts
from tests.support.runs.copy_kills import KillableProcess, Run
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server, run_mongod
from tests.support.servers.proxy import Proxy

JOURNAL = "mongo_migration_journal"
RAW = Operation("copy_db one:other --raw", Action.RAW, "other", Origin(), 0.0)
IN_PLACE = ("copy_db", "one:other", "--yes", "--in-place", "--engine", "native")


@pytest.fixture
def small(server: Server) -> Iterator[Small]:
    with small_between(server, server) as made:
        yield made


def make_folder(small: Small, path: Path, **target: str) -> Folder:
    folder = Folder(path, small.server)
    where = {"host": small.server.host} if target else {"uri": small.server.uri}
    folder.settings(
        one={"uri": small.server.uri, "db_name": small.source.name},
        other={**where, **target, "db_name": small.target.name},
    )
    return folder


@pytest.mark.parametrize("kind", ["view", "time series"])
def test_a_journal_that_takes_no_entries_is_refused_first(small: Small, tmp_path: Path, kind: str) -> None:
    if kind == "view":
        small.source.create_collection(JOURNAL, viewOn="users", pipeline=[])
    else:
        small.source.create_collection(JOURNAL, timeseries={"timeField": "started_at"})
    result = make_folder(small, tmp_path).invoke(*IN_PLACE)
    assert result.code == 2, result.output
    assert f"'{JOURNAL}' of the source is a {kind}, and no entry can be added to it." in result.err
    assert f"Rename or drop the {kind} there: the name is monarch's own." in result.err
    small.assert_old()


def test_a_validator_does_not_refuse_the_entry_of_who_may_bypass_it(small: Small, tmp_path: Path) -> None:
    small.source.create_collection(JOURNAL, validator={"never": {"$exists": True}})
    result = make_folder(small, tmp_path).invoke(*IN_PLACE)
    assert result.code == 0, result.output
    (entry,) = small.target[JOURNAL].find()
    assert entry["action"] == "copy"
    assert small.target[JOURNAL].options() == small.source[JOURNAL].options()


def test_a_validator_that_refuses_the_entry_is_found_before_anything_is_dropped(
    small: Small, tmp_path: Path
) -> None:
    small.source.create_collection(JOURNAL, validator={"never": {"$exists": True}})
    small.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    try:
        folder = make_folder(small, tmp_path, username="writer", password="writer-hush")
        result = folder.invoke(*IN_PLACE)
    finally:
        small.target.command("dropUser", "writer")
    assert result.code == 5, result.output
    assert f"The validator of '{JOURNAL}' of the source refuses the entry of this command" in result.err
    assert "Remove that validator, or give the user of 'other' the role `dbAdmin`." in result.err
    small.assert_old()


@pytest.mark.parametrize(
    ("engines", "has_journal"),
    counts.sample([(pair, has) for pair in PAIRS for has in (True, False)], 2),
)
def test_a_raw_copy_is_recorded_by_every_pair_of_engines(
    small: Small, tools: Path, monkeypatch: pytest.MonkeyPatch, engines: tuple[str, str], has_journal: bool
) -> None:
    """The tools are not given a journal that the source has not."""
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    if has_journal:
        small.source[JOURNAL].insert_one({"_id": "own", "key": "own"})
    small.copy(engines, operation=RAW)
    keys = [entry["key"] for entry in small.target[JOURNAL].find()]
    assert keys == ["own"] * has_journal + [RAW.command]
    assert small.target.users.count_documents({}) == 3000


def _copy(server: Server, source: str, target: str, port: int) -> None:
    with server.client() as client:
        other = Server(port, server.pid)
        Small(server, other, client[source], client[target]).copy(operation=RAW)


def test_a_raw_copy_that_is_killed_right_after_the_swap_is_recorded() -> None:
    with run_mongod() as (port, process), Proxy(port) as proxy:
        server = Server(port, process.pid)
        with scratch(server) as source, scratch(server) as target:
            source.users.insert_one({"_id": "new"})
            target.users.insert_one({"_id": "old"})
            arguments = (server, source.name, target.name, proxy.port)
            for _ in range(2):  # the second has as many commands as the third
                before = len(proxy.commands)
                _copy(*arguments)
            run = Run.of(proxy.commands[before:])
            source.users.replace_one({"_id": "new"}, {"_id": "new", "unmasked": True})
            copy = KillableProcess(_copy, *arguments)
            proxy.at(run.ends, copy.kill, moment="before")
            copy.start()
            assert copy.end() == -signal.SIGKILL
            assert target.users.find_one() == {"_id": "new", "unmasked": True}
            assert target[JOURNAL].count_documents({"action": "raw copy"}) == 3
            assert target[JOURNAL].count_documents({"action": "raw copy", "replaced": None}) == 1
