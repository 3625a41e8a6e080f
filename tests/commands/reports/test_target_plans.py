"""The plans of ``drop_db`` and ``unlock``: before the question, and alone with --plan."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.commands.console.test_questions import end
from tests.commands.migrations.test_marks import held as held  # a fixture
from tests.support.runs.billing import Billing, make_billing
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.server, pytest.mark.command]
NONE = "There is no backup of it: the settings have no BACKUPS."


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_drop_db_shows_what_goes_and_the_way_back(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    before = two.folder.files()
    planned = two.folder.invoke("drop_db", "production", "--plan")
    assert (planned.code, planned.err) == (0, "")
    first, *rest = lines(planned.out)
    where = f"{two.source.name} on production ({two.server.host})"
    assert first.startswith(f"{where} holds 2 collections, 201 documents, ")
    none = f"There is no good backup of {two.source.name} on production: the folder "
    assert rest[0].startswith(none)
    assert rest[1] == "All of it would be dropped, with the migration history:"
    assert [line.split()[0] for line in rest[2:-1]] == [
        "COLLECTION",
        "mongo_migration_history",
        "users",
        "young",
    ]
    assert rest[-1] == "Nothing was changed."
    assert set(two.source.list_collection_names()) == {
        "mongo_migration_history",
        "system.views",
        "users",
        "young",
    }
    assert two.folder.files() == before
    assert two.folder.invoke("backup", "production", "--engine", "native").code == 0
    for flag in ("-n", "--dry-run"):
        planned = two.folder.invoke("drop_db", "production", flag)
        assert lines(planned.out)[1].startswith(f"Its newest good backup is {two.source.name}__")


def test_drop_db_shows_it_before_it_asks(two: TwoEnvironments) -> None:
    for number in range(20):
        two.target[f"many{number:02}"].insert_many({} for _ in range(number + 1))
    terminal = two.folder.terminal("drop_db", "dev", columns=200)
    terminal.expect("are you SURE")
    shown = lines(terminal.before or "")
    assert f"{two.target.name} on dev ({two.server.host}) holds 22 collections, 212 documents, " in shown[0]
    assert NONE in shown[1]
    rows = [line.split()[0] for line in shown if line.startswith("many")]
    assert rows == [f"many{number:02}" for number in range(10, 20)]
    assert any(line.startswith("… and 12 smaller ones, which --plan lists: 22 coll") for line in shown)
    terminal.sendline("n")
    code, output = end(terminal)
    assert (code, "Nothing was changed." in output) == (1, True)
    assert len(two.target.list_collection_names()) == 22


def test_with_yes_nothing_of_it_is_printed(two: TwoEnvironments) -> None:
    dropped = two.folder.invoke("drop_db", "dev", "--yes")
    assert (dropped.code, dropped.err) == (0, "")
    assert dropped.out == f"Dropped {two.target.name} on dev: 2 collections, 2 documents.\n"


def test_drop_db_for_programs(two: TwoEnvironments) -> None:
    planned = two.folder.invoke("drop_db", "dev", "--plan", "--json")
    assert (planned.code, planned.err) == (0, "")
    target: dict[str, Any] = planned.json["target"]
    assert (target["environment"], target["database"], target["server"]) == (
        "dev",
        two.target.name,
        two.server.host,
    )
    assert (target["collections"], target["documents"], target["why"]) == (2, 2, None)
    assert target["newest_backup"]["state"] == "no store"
    assert [row["name"] for row in planned.json["dropped"]] == ["old", "users"]


def test_a_plan_fails_as_the_command_would(project: Folder, held: subprocess.Popen[str]) -> None:
    assert_error(project.invoke("drop_db", "dev", "--json"), 2, "--json is for --plan.", "Add --plan")
    assert_error(project.invoke("unlock", "dev", "--json"), 2, "--json is for --plan.", "Add --plan")
    for command in ("drop_db", "unlock"):
        assert_error(project.invoke(command, "deev", "--plan"), 2, "no environment 'deev'", "Did you mean")
    refused = project.invoke("drop_db", "dev", "--plan")
    assert refused.code == 4
    assert "_slow_migration" in refused.err
    planned = project.invoke("unlock", "dev", "--plan")
    assert (planned.code, planned.err) == (0, "")
    first, *_, last = lines(planned.out)
    assert first.startswith(f"dev is held by process {held.pid} of ")
    assert ", which is on this machine and STILL RUNS: migrate dev, for " in first
    assert last == "Nothing was changed."
    (holder,) = (project.invoke("unlock", "dev", "-n", "--json").json["holder"],)
    assert (holder["alive"], holder["purpose"]) == (True, "migrate dev")
    held.kill()
    held.communicate()
    planned = project.invoke("unlock", "dev", "--plan")
    assert ", which was on this machine and HAS ENDED: migrate dev, for " in planned.out
    assert project.invoke("unlock", "dev", "--plan", "--json").json["holder"]["alive"] is False
    assert project.database.monarch_lease.find_one({"holder": {"$exists": True}})
    later = datetime.now(UTC) + timedelta(days=1)
    elsewhere = {"holder.host": "elsewhere", "expires_at": later}
    project.database.monarch_lease.update_one({}, {"$set": elsewhere})
    planned = project.invoke("unlock", "dev", "--plan")
    assert " on elsewhere" in planned.out
    assert "That run is not of this machine, and has renewed the lock within the last 30 sec" in planned.out
    assert project.invoke("unlock", "dev", "--plan", "--json").json["holder"]["alive"] is None
    assert "is not of this machine" not in project.invoke("unlock", "dev", "--yes").err


@pytest.fixture
def billing(tmp_path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    with make_billing(tmp_path, postgres) as made:
        yield made


def test_tables_of_postgres(billing: Billing) -> None:
    planned = billing.folder.invoke("drop_db", "dev", "--plan")
    assert (planned.code, planned.err) == (0, "")
    first, second, *_ = lines(planned.out)
    assert " holds 1 table, 3 rows, " in first
    assert second == NONE
    assert "\ndogs " in planned.out
    assert billing.rows("SELECT count(*) FROM dogs") == [(3,)]
    # Whoever holds a lock for long keeps nobody waiting.
    with billing.postgres.connect(billing.db_name) as other, other.transaction():
        other.execute("LOCK dogs")
        planned = billing.folder.invoke("drop_db", "dev", "--plan")
    assert (planned.code, planned.err) == (0, "")
    assert " holds 1 table, at least 0 rows, at least 0 B, 1 table not counted." in planned.out
    assert "Not counted: dogs." in planned.out
