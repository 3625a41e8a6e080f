"""A target in which a view or a time series of somebody else has the name of the journal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.runs.two_environments import TwoEnvironments, assert_error

pytestmark = pytest.mark.server
JOURNAL = "mongo_migration_journal"


def make_strange(two: TwoEnvironments, kind: str) -> None:
    two.reset_target()
    if kind == "view":
        two.target.create_collection(JOURNAL, viewOn="users", pipeline=[])
        return
    two.target.create_collection(JOURNAL, timeseries={"timeField": "at"})
    two.target[JOURNAL].insert_one({"at": datetime(2014, 5, 29, tzinfo=UTC), "n": 1})


@pytest.mark.parametrize("kind", ["view", "time series"])
def test_a_strange_journal_is_replaced_or_named(two: TwoEnvironments, kind: str) -> None:
    two.folder.keep_backups()
    taken = two.folder.invoke("backup", "production", "--json", "--engine", "native").json["name"]
    for command in (
        ("copy_db", "production:dev"),
        ("copy_db", "production:dev", "--in-place"),
        ("restore", f"{taken}:dev"),
    ):
        make_strange(two, kind)
        result = two.folder.invoke(*command, "--yes", "--engine", "native")
        assert result.code == 0, result.output
        entries = two.folder.invoke("history", "dev", "--everything", "--json").json
        assert entries[-1]["key"] == " ".join(command), "it is a journal now"
    make_strange(two, kind)
    before = two.target.users.find_one(), sorted(two.target.list_collection_names())
    into = two.copy("--into-existing", "--only", "users", "--yes", "--engine", "native")
    assert_error(
        into, 2, f"'{JOURNAL}' of 'dev' is a {kind}, and no entry", f"Rename or drop the {kind} there"
    )
    two.folder.migration("one", stamp="201405290000")
    result = two.folder.invoke("migrate", "dev")
    assert result.code == 2, result.output
    error, hint = result.err.splitlines()[-2:]
    assert error == f"Error: '{JOURNAL}' of 'dev' is a {kind}, and the history cannot be written."
    assert hint == f"Hint: Nothing was run. Rename or drop the {kind}: the name is monarch's own."
    for words in (("history", "dev"), ("list_migrations", "dev")):
        assert two.folder.invoke(*words).code == 0
    # The journal cannot take the line of a backup, so that lies beside it.
    backup = two.folder.invoke("backup", "dev", "--json", "--engine", "native")
    assert backup.code == 0, backup.output
    assert (two.folder.path / "backups" / f"{backup.json['name']}.journal").exists()
    after = sorted(set(two.target.list_collection_names()) - {"monarch_lease"})
    assert (two.target.users.find_one(), after) == before
