"""Private environments: what leaves them is masked, and nothing arrives that was to be masked."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import pytest

from tests.commands.console.test_questions import end, solve
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error, entry
from tests.support.samples.ages import make_key
from tests.support.samples.zips import ID, NAME, make_zip

pytestmark = pytest.mark.server

RULES = """
    from monarch.privacy import Masks, email, full_name, keep, null

    masks = Masks()
    masks['users'] = {
        '_id': keep, 'name': full_name(), 'mail': email(unique=True), 'secret': null, 'note': keep
    }
    masks['orders'] = {'_id': keep, 'mail': email(unique=True), 'total': keep}
"""
USERS: list[dict[str, Any]] = [
    {
        "_id": number,
        "name": f"Ottilie Zwackelmann{number}",
        "mail": f"ottilie.{number}@zwackelmann.test",
        "secret": f"pass-{number}-word",
        "note": "nothing to see",
    }
    for number in range(50)
]
ONE = "_201405290000_one_migration"
KEY = {"MONARCH_MASKS_KEY": "a key of tests that is long enough"}


@pytest.fixture
def private(two: TwoEnvironments) -> TwoEnvironments:
    """Two environments, of which production is private and has rules."""
    two.source.client.drop_database(two.source.name)
    two.source.users.insert_many(USERS)
    two.source.users.create_index("mail", unique=True)
    two.source.orders.insert_many({"_id": one["_id"], "mail": one["mail"], "total": 7} for one in USERS)
    two.source.mongo_migration_history.insert_one({"key": ONE, "state": "Completed"})
    two.source.mongo_migration_journal.insert_one(
        {
            "key": ONE,
            "action": "run",
            "outcome": "Completed",
            "echoed": "changed Ottilie Zwackelmann1",
            "checksum": "0" * 64,
        }
    )
    declare(two, private=True)
    two.folder.write("migrations/privacy.py", RULES)
    return two


def declare(two: TwoEnvironments, *, private: bool, private_target: bool = False) -> None:
    two.folder.settings(
        production=entry(two.server, two.source.name, protected=False, private=private),
        dev=entry(two.server, two.target.name, protected=False, private=private_target),
    )
    two.folder.keep_backups()


def everything(database: Any) -> str:
    """Return all documents of a database as one text, without monarch's own."""
    left_out = ("monarch_lease", "system.views")
    names = [name for name in database.list_collection_names() if name not in left_out]
    return "\n".join(str(document) for name in names for document in database[name].find())


def assert_masked(two: TwoEnvironments) -> None:
    text = everything(two.target)
    assert "wackelmann" not in text
    assert "word" not in text
    users = {one["_id"]: one for one in two.target.users.find()}
    assert len(users) == len(USERS)
    assert {one["mail"] for one in two.target.orders.find()} == {one["mail"] for one in users.values()}
    for order in two.target.orders.find():
        assert order["mail"] == users[order["_id"]]["mail"]
        assert order["mail"].partition("@")[2] in ("example.com", "example.org", "example.net")
    assert [one["key"] for one in two.target.mongo_migration_history.find()] == [ONE]
    (entry,) = two.target.mongo_migration_journal.find({"action": "run"})
    assert entry["checksum"] == "0" * 64
    assert "echoed" not in entry


def test_a_copy_is_masked(private: TwoEnvironments) -> None:
    result = private.copy("--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert_masked(private)
    assert "Masked by migrations/privacy.py, under a key of this copy alone." in result.output


def test_a_part_is_masked(private: TwoEnvironments) -> None:
    private.folder.write(
        "querysets/few_query_set.py",
        """
        from monarch import QuerySet

        class FewQuerySet(QuerySet):
            def run(self):
                self.dump_collection('users', {'mail': 'ottilie.7@zwackelmann.test'})
                self.follow('users.mail', 'orders.mail')
        """,
    )
    result = private.copy("--yes", "-q", "FewQuerySet")
    assert result.code == 0, result.output
    (user,), (order,) = list(private.target.users.find()), list(private.target.orders.find())
    assert (user["_id"], order["_id"]) == (7, 7)
    assert user["mail"] == order["mail"]
    assert "wackelmann" not in everything(private.target)


def test_one_key_gives_the_same_masks_for_years(private: TwoEnvironments) -> None:
    found = []
    for variables in (KEY, KEY, {}, {}):
        result = private.copy("--yes", "--engine", "native", variables=variables)
        assert result.code == 0, result.output
        found.append(sorted(one["mail"] for one in private.target.users.find()))
    assert found[0] == found[1]
    assert len({tuple(one) for one in found}) == 3


def test_a_short_key_is_refused(private: TwoEnvironments) -> None:
    result = private.copy("--yes", variables={"MONARCH_MASKS_KEY": "short-key"})
    assert_error(result, 2, "MONARCH_MASKS_KEY is too short", "secrets")
    assert "short-key" not in result.output
    private.assert_unchanged()


def test_without_rules_nothing_leaves(private: TwoEnvironments) -> None:
    (private.folder.path / "migrations/privacy.py").unlink()
    assert_error(private.copy("--yes"), 2, "no migrations/privacy.py", "suggest_masks")
    private.assert_unchanged()


def test_a_collection_without_rules_stops_the_copy(private: TwoEnvironments) -> None:
    private.source.logs.insert_one({"line": "Ottilie Zwackelmann"})
    private.source.more.insert_one({"line": "x"})
    result = private.copy("--yes")
    assert_error(result, 1, "'logs', 'more'", "suggest_masks")
    private.assert_unchanged()
    assert private.copy("--yes", "--exclude", "logs", "--exclude", "more").code == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"nick": "Otti"}, "users.nick"),
        ({"address": {"street": "Xy 7"}}, "users.address"),
        ({"note": {"deep": "kept"}}, None),
        ({"name": 7}, "users.name"),
        ({"name": ["Otti"]}, "users.name"),
    ],
)
def test_a_field_without_a_rule_or_of_another_type_stops_the_copy(
    private: TwoEnvironments, change: dict[str, Any], named: str | None
) -> None:
    private.source.users.update_one({"_id": 33}, {"$set": change})
    result = private.copy("--yes", "--engine", "native")
    if named is None:
        assert result.code == 0, result.output
        return
    assert result.code == 1, result.output
    assert named.partition(".")[2] in result.err
    assert "Otti" not in result.output
    assert "Xy" not in result.output
    assert len(result.err.splitlines()) == 2
    private.assert_unchanged()


def test_a_leak_fails_the_copy(private: TwoEnvironments) -> None:
    private.source.users.update_one({"_id": 5}, {"$set": {"note": "wrote to OTTILIE.9@Zwackelmann.test."}})
    result = private.copy("--yes", "--engine", "native")
    assert_error(result, 1, r"users\.note \(1 document", "public")
    assert "wackelmann" not in result.output
    private.assert_unchanged()
    rules = RULES.replace("'note': keep", "'note': public").replace("keep, null", "keep, null, public")
    private.folder.write("migrations/privacy.py", rules)
    assert private.copy("--yes", "--engine", "native").code == 0


def test_plan_shows_masks_and_documents_after_them(private: TwoEnvironments) -> None:
    private.source.orders.update_one({"_id": 0}, {"$set": {"total": "x" * 9_000}})
    result = private.copy("--plan", "--show", "2", "--engine", "native")
    assert result.code == 0, result.output
    assert "email(unique=True)" in result.out
    assert "nothing to see" in result.out
    assert "wackelmann" not in result.output
    assert 1_000 < max(map(len, result.out.splitlines())) < 2_100
    private.assert_unchanged()
    report = private.copy("--plan", "--show", "1", "--json", "--engine", "native").json
    assert {"collection": "users", "path": "name", "rule": "full_name()"} in report["masked"]
    assert {one["collection"] for one in report["documents"]} == {"users", "orders"}
    assert any("x" * 9_000 in one["document"] for one in report["documents"])
    assert_error(private.copy("--show", "1", "--yes"), 2, "--show is for --plan", "--plan")


def test_raw_asks_and_is_recorded(private: TwoEnvironments) -> None:
    assert_error(private.copy("--raw"), 2, "production is private", "--yes")
    private.assert_unchanged()
    terminal = private.folder.terminal("copy_db", "production:dev", "--raw", "--engine", "native")
    solve(terminal)
    terminal.expect("UNMASKED")
    terminal.sendline("y")
    assert end(terminal)[0] == 0
    assert private.target.users.find_one({"_id": 1}) == USERS[1]
    (record,) = private.target.mongo_migration_journal.find({"action": "raw copy"})
    assert record["key"] == "copy_db production:dev --raw"
    history = private.folder.monarch("history", "dev")
    assert "raw copy" in history.out
    listed = private.folder.monarch("list_migrations", "dev", "--json").json
    assert [row["key"] for row in listed] == [ONE]


def test_between_private_environments_nothing_is_masked(private: TwoEnvironments) -> None:
    declare(private, private=True, private_target=True)
    assert private.copy("--yes", "--engine", "native").code == 0
    assert private.target.users.find_one({"_id": 1}) == USERS[1]
    assert private.target.mongo_migration_journal.count_documents({"action": "raw copy"}) == 0


def backup(two: TwoEnvironments, *arguments: str) -> dict[str, Any]:
    result = two.folder.monarch("backup", "production", "--engine", "native", "--json", *arguments)
    assert result.code == 0, result.output
    found: dict[str, Any] = result.json
    return found


def test_a_raw_backup_is_private_wherever_it_goes(private: TwoEnvironments) -> None:
    taken = backup(private)
    assert (taken["private"], taken["masked"]) == (True, False)
    restored = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    assert_masked(private)
    # Also if the environment is no longer declared.
    declare(private, private=False)
    private.reset_target()
    (private.folder.path / "migrations/privacy.py").unlink()
    refused = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes")
    assert_error(refused, 2, "no migrations/privacy.py", "suggest_masks")
    private.assert_unchanged()
    raw = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes", "--raw", "--engine", "native")
    assert raw.code == 0, raw.output
    assert private.target.mongo_migration_journal.count_documents({"action": "raw copy"}) == 1


def test_a_backup_of_monarch_0_1_is_masked_on_the_way(private: TwoEnvironments) -> None:
    """All that has no rules is named, and so are definitions with values."""
    partial = (
        '{"v":1,"key":{"name":1},"name":"one","partialFilterExpression":{"name":"Otti"},"ns":"app.users"}'
    )
    files: dict[str, bytes | str] = {
        "users.bson": b"".join(map(bson.encode, USERS)),
        "users.metadata.json": f'{{"options":{{}},"indexes":[{ID},{partial}]}}',
        "young.metadata.json": '{"options":{"viewOn":"users","pipeline":[{"$match":{"name":"Otti"}}]}}',
    }
    for name in ("more", "most"):
        files |= {f"{name}.bson": bson.encode({"_id": 1}), f"{name}.metadata.json": "{}"}
    folder = private.folder.path / "backups"
    folder.mkdir()
    (folder / NAME).write_bytes(make_zip(files))
    restore = ("restore", f"{NAME}:dev", "--yes", "--engine", "native")
    assert_error(private.folder.monarch(*restore), 1, "'more', 'most'", "--exclude")
    private.assert_unchanged()
    result = private.folder.monarch(*restore, "--exclude", "more", "--exclude", "most")
    assert result.code == 0, result.output
    assert "wackelmann" not in everything(private.target)
    assert {one["mail"].partition("@")[2] for one in private.target.users.find()} == {"example.com"}
    assert "Note: the partial filter of the index 'one' of 'users' holds values" in result.err
    assert "Note: the pipeline of the view 'young' holds values" in result.err
    printed = private.folder.monarch(*restore, "--exclude", "more", "--exclude", "most", "--json").json
    assert (printed["passage"], len(printed["notes"])) == ("masked", 2)


def test_a_raw_backup_restores_its_own_environment(private: TwoEnvironments) -> None:
    taken = backup(private)
    private.source.users.delete_many({})
    assert private.folder.monarch("restore", f"{taken['name']}:production", "--yes").code == 0
    assert private.source.users.find_one({"_id": 1}) == USERS[1]


@pytest.mark.parametrize("known", [True, False])
def test_a_backup_that_nothing_describes_is_private(private: TwoEnvironments, known: bool) -> None:
    """Without a manifest; and one of an environment that was declared private later."""
    declare(private, private=False)
    taken = backup(private)
    declare(private, private=True)
    name = taken["name"]
    if not known:
        (manifest,) = (private.folder.path / "backups").rglob("*.json")
        manifest.unlink()
        name = taken["archive"]
    (private.folder.path / "migrations/privacy.py").unlink()
    refused = private.folder.monarch("restore", f"{name}:dev", "--yes")
    assert refused.code != 0
    assert "privacy.py" in refused.err or "manifest" in refused.err
    private.assert_unchanged()


def test_a_masked_backup_may_travel(private: TwoEnvironments) -> None:
    raw = backup(private, "--name", "raw")
    taken = backup(private, "--masked", "--name", "open")
    assert (taken["private"], taken["masked"]) == (True, True)
    restored = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    assert_masked(private)
    # It holds invented data: the newest backup of production is the raw one.
    again = private.folder.monarch("restore", "production:production", "--yes")
    assert f"The newest good backup of production is {raw['name']}" in again.err
    assert private.source.users.find_one({"_id": 1}) == USERS[1]
    shown = private.folder.monarch("show_backup", taken["name"])
    assert "masked" in shown.out


def test_a_masked_backup_holds_documents_of_time_series(private: TwoEnvironments) -> None:
    private.source.create_collection("readings", timeseries={"timeField": "at", "metaField": "who"})
    private.source.readings.insert_many(
        [{"at": datetime(2026, 1, 2), "who": USERS[n]["name"], "v": n} for n in range(3)]
    )
    private.folder.write(
        "migrations/privacy.py", f"{RULES}    masks['readings'] = {{'who': full_name(), '*': keep}}\n"
    )
    taken = backup(private, "--masked", "--name", "open")
    restored = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    assert_masked(private)
    assert sorted(one["v"] for one in private.target.readings.find()) == [0, 1, 2]


def test_a_masked_backup_is_encrypted_and_read_back_without_a_key(
    private: TwoEnvironments, tmp_path: Path
) -> None:
    """It is searched for leaks where nobody has a key."""
    key = make_key(tmp_path / "keys")
    private.folder.encrypt_backups(key.recipient)
    taken = backup(private, "--masked", "--name", "open")
    assert (taken["masked"], taken["recipients"]) == (True, [key.recipient])
    private.folder.encrypt_backups(key.recipient, identities=key.path)
    restored = private.folder.monarch("restore", f"{taken['name']}:dev", "--yes")
    assert restored.code == 0, restored.output
    assert_masked(private)


def test_a_leak_fails_a_masked_backup(private: TwoEnvironments) -> None:
    private.source.users.update_one({"_id": 5}, {"$set": {"note": "from ottilie.9@zwackelmann.test"}})
    result = private.folder.monarch("backup", "production", "--masked", "--engine", "native")
    assert result.code == 1, result.output
    assert "users.note (1 document" in result.err
    assert "public" in result.err
    assert "wackelmann" not in result.output
    assert stored(private.folder) == set()


def stored(folder: Folder) -> set[str]:
    return {path.name for path in Path(folder.path / "backups").rglob("*.dmp*")}


def test_leaks(private: TwoEnvironments) -> None:
    assert private.copy("--yes", "--raw", "--engine", "native").code == 0
    found = private.folder.monarch("leaks", "production:dev", "--json")
    assert found.code == 1, found.output
    assert {(one["collection"], one["path"]) for one in found.json} >= {("users", "secret")}
    assert private.copy("--yes", "--engine", "native").code == 0
    for how in ((), ("--check", "all")):
        clean = private.folder.monarch("leaks", "production:dev", *how)
        assert clean.code == 0, clean.output
    private.target.orders.update_one({"_id": 4}, {"$set": {"total": "by ottilie.9@zwackelmann.test"}})
    found = private.folder.monarch("leaks", "production:dev")
    assert found.code == 1
    assert "orders" in found.out
    assert "wackelmann" not in found.output


def test_a_database_without_masks_is_told_so_before_anything_else(private: TwoEnvironments) -> None:
    private.folder.settings(
        production={"uri": "postgresql://localhost:1/app", "private": True, "protected": False},
        dev={"uri": "postgresql://localhost:1/other", "protected": False},
    )
    private.folder.keep_backups()
    (private.folder.path / "migrations/privacy.py").unlink()
    for command in (["copy_db", "production:dev", "--yes"], ["backup", "production", "--masked"]):
        assert_error(
            private.folder.monarch(*command), 2, "PostgreSQL database cannot be masked yet", "private"
        )


def test_environments_say_what_they_are(private: TwoEnvironments) -> None:
    listed = private.folder.monarch("list_environments", "--json").json
    assert {one["name"]: one["private"] for one in listed} == {"production": True, "dev": False}
    assert "PRIVATE" in private.folder.monarch("list_environments").out


@pytest.mark.parametrize("value", ["yes", 1])
def test_a_private_that_is_no_truth_is_refused(private: TwoEnvironments, value: Any) -> None:
    private.folder.settings(
        production=entry(private.server, private.source.name, private=value),
        dev=entry(private.server, private.target.name),
    )
    result = private.copy("--yes")
    assert_error(result, 2, "'private' is neither True nor False", "True or False")
    assert json.dumps(value) not in result.err.replace("True", "")


def test_another_name_of_a_private_database_is_private_too(private: TwoEnvironments) -> None:
    private.folder.settings(
        production=entry(private.server, private.source.name, private=True),
        reading=entry(private.server, private.source.name, protected=False),
        dev=entry(private.server, private.target.name, protected=False),
    )
    listed = private.folder.monarch("list_environments", "--json").json
    assert {one["name"]: one["private"] for one in listed} == {
        "production": True,
        "reading": True,
        "dev": False,
    }
    result = private.folder.monarch("copy_db", "reading:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert "wackelmann" not in everything(private.target)
