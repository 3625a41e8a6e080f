"""A new kind of database needs one package and one line; missing capabilities are clear errors."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from textwrap import indent

import pytest

# Before a kind is added: their options list the kinds, and other tests of this process read their help.
import monarch.commands.demo
import monarch.commands.migrations.generate
import monarch.commands.querysets  # noqa: F401
from monarch.databases import KINDS
from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment
from tests.support.runs.shell import Folder

DATA = Path(__file__).parents[1] / "data/manifests"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "toy", "tests.support.databases.toy")


@pytest.fixture
def mixed(folder: Folder) -> Folder:
    """A project with one environment of MongoDB and two of the toy kind."""
    folder.settings(
        dev={"host": "localhost:1", "db_name": "app"},
        toys={"kind": "toy", "box": "blocks"},
        more={"uri": "toy://chest"},
    )
    folder.keep_backups()
    return folder


def test_the_scheme_or_the_key_chooses_the_kind() -> None:
    assert parse_environment("a", {"uri": "toy://chest"}).kind == "toy"
    assert parse_environment("a", {"kind": "toy"}).kind == "toy"
    assert parse_environment("a", {"uri": "mongodb://h/a"}).kind == "mongo"
    assert parse_environment("a", {"host": "h", "db_name": "a"}).kind == "mongo"


def test_errors_name_its_keys() -> None:
    with pytest.raises(SettingsError, match="Environment 'a': unknown key 'boxx'") as caught:
        parse_environment("a", {"kind": "toy", "boxx": "b"}).require()
    assert "'box'" in str(caught.value.hint)
    with pytest.raises(SettingsError, match="unknown key 'replicaSet'"):
        parse_environment("a", {"kind": "toy", "replicaSet": "b"}).require()


def test_its_environments_are_listed_and_opened(mixed: Folder) -> None:
    rows = {row["name"]: row for row in mixed.invoke("list_environments", "--json").json}
    assert (rows["toys"]["database"], rows["toys"]["server"]) == ("blocks", "the box blocks")
    assert mixed.invoke("list_migrations", "toys").code == 0


BOX = "connection = self.connection"
TABLE = f"{BOX}\nconnection.execute('CREATE TABLE blocks (colour)')"
BLOCKS = f"{BOX}\nconnection.executemany('INSERT INTO blocks VALUES (?)', [('red',), ('blue',)])"


def write_migration(folder: Folder, name: str, body: str, undo: str = "pass", attributes: str = "") -> str:
    """Write a migration with `generate`, and replace its body; return its key."""
    assert folder.invoke("generate", name).code == 0
    (path,) = (folder.path / "migrations").glob(f"*_{name}_migration.py")
    head, _, _ = path.read_text().partition("    def run")
    run, rollback = (indent(text, " " * 8) for text in (body, undo))
    source = f"{head}{attributes}\n    def run(self):\n{run}\n\n    def rollback(self):\n{rollback}\n"
    path.write_text(source)
    return path.stem


@pytest.fixture
def toys(folder: Folder) -> Folder:
    """A project with one environment, of the toy kind."""
    folder.settings(toys={"kind": "toy", "box": "blocks"})
    return folder


def read_blocks(folder: Folder) -> list[str]:
    with closing(sqlite3.connect(folder.path / "blocks.sqlite3")) as connection:
        return [colour for (colour,) in connection.execute("SELECT colour FROM blocks ORDER BY rowid")]


def states(folder: Folder) -> list[str]:
    return [row["state"] for row in folder.invoke("list_migrations", "toys", "--json").json]


def test_generate_derives_from_the_base_class_of_the_kind(toys: Folder) -> None:
    assert toys.invoke("generate", "first").code == 0
    (path,) = (toys.path / "migrations").glob("*_first_migration.py")
    assert path.read_text().startswith("from tests.support.databases.toy.migration import ToyMigration\n")
    assert "class FirstMigration(ToyMigration):" in path.read_text()


def test_generate_asks_for_the_kind_if_there_are_several(mixed: Folder) -> None:
    result = mixed.invoke("generate", "mixed")
    assert result.code == 2
    assert "--kind mongo or --kind toy" in result.err


def test_generate_uses_the_default_kind_without_other_information(mixed: Folder) -> None:
    mixed.write("migrations/settings.py", "ENVIRONMENTS = missing\n")
    assert mixed.invoke("generate", "broken").code == 0
    (path,) = (mixed.path / "migrations").glob("*_broken_migration.py")
    assert path.read_text().startswith("from monarch import MongoBackedMigration\n")


def test_its_migrations_run_and_are_rolled_back(toys: Folder) -> None:
    first = write_migration(toys, "table", TABLE)
    second = write_migration(toys, "blocks", BLOCKS, f"{BOX}\nconnection.execute('DELETE FROM blocks')")
    planned = toys.invoke("migrate", "toys", "--plan", "--json").json
    assert [step["key"] for step in planned] == [first, second]
    assert toys.invoke("check", "toys").code == 3
    result = toys.invoke("migrate", "toys")
    assert (result.code, "2 migrations done" in result.out) == (0, True), result.output
    assert read_blocks(toys) == ["red", "blue"]
    assert states(toys) == ["Completed", "Completed"]
    assert toys.invoke("check", "toys").code == 0
    assert "Nothing to do" in toys.invoke("migrate", "toys").out
    assert toys.invoke("rollback", "toys").code == 0
    assert (read_blocks(toys), states(toys)) == ([], ["Completed", "New"])
    assert toys.invoke("mark", "toys", "blocks", "--as", "completed", "--yes").code == 0
    assert (read_blocks(toys), states(toys)) == ([], ["Completed", "Completed"])
    entries = toys.invoke("history", "toys", "--json").json
    assert [entry["action"] for entry in entries] == ["run", "run", "rollback", "mark"]
    assert [entry["documents"] for entry in entries[:2]] == [0, 2]


def test_a_failed_migration_is_recorded_and_retried(toys: Folder) -> None:
    write_migration(toys, "table", TABLE)
    key = write_migration(toys, "blocks", f"{BLOCKS}\nraise ValueError('no more')")
    result = toys.invoke("migrate", "toys")
    assert result.code == 1
    assert f"{key} failed on 'toys'" in result.err
    assert states(toys) == ["Completed", "Failed"]
    assert toys.invoke("check", "toys").code == 6
    path = toys.path / "migrations" / f"{key}.py"
    path.write_text(path.read_text().replace("raise ValueError('no more')", "pass"))
    assert toys.invoke("migrate", "toys").code == 1
    assert toys.invoke("migrate", "toys", "--retry").code == 0
    assert read_blocks(toys) == ["red", "blue", "red", "blue"]
    assert states(toys) == ["Completed", "Completed"]


def test_a_transaction_is_all_or_nothing(toys: Folder) -> None:
    write_migration(toys, "table", TABLE)
    broken = f"{BLOCKS}\nraise ValueError('no more')"
    key = write_migration(toys, "blocks", broken, attributes="    transaction = True\n")
    assert toys.invoke("migrate", "toys").code == 1
    assert (read_blocks(toys), states(toys)) == ([], ["Completed", "Failed"])
    path = toys.path / "migrations" / f"{key}.py"
    path.write_text(path.read_text().replace("raise ValueError('no more')", "pass"))
    assert toys.invoke("migrate", "toys", "--retry").code == 0
    assert (read_blocks(toys), states(toys)) == (["red", "blue"], ["Completed", "Completed"])


def test_a_migration_of_another_kind_is_refused_before_anything_runs(toys: Folder) -> None:
    write_migration(toys, "table", TABLE)
    toys.migration("foreign", stamp="209901010000")
    result = toys.invoke("migrate", "toys")
    assert result.code == 2, result.output
    assert (
        "is a migration of a MongoDB database, but 'toys' is a Toy database. Nothing has run." in result.err
    )
    assert set(states(toys)) == {"New"}


def test_its_database_is_dropped(toys: Folder) -> None:
    write_migration(toys, "table", f"{TABLE}\n{BLOCKS}")
    assert toys.invoke("migrate", "toys").code == 0
    assert toys.invoke("drop_db", "toys", "--yes").code == 0
    assert states(toys) == ["New"]
    assert toys.invoke("migrate", "toys").code == 0


def keep_mongo_backup(folder: Folder) -> str:
    """Put files that are listed as a backup of a MongoDB database into the store; return their name."""
    manifest = (DATA / "whole.json").read_bytes()
    members = json.loads(manifest)
    (folder.path / "backups").mkdir()
    (folder.path / "backups" / members["archive"]).write_bytes(b"x" * members["size"])
    (folder.path / "backups" / f"{members['archive']}.json").write_bytes(manifest)
    name: str = members["archive"].partition(".")[0]
    return name


@pytest.mark.parametrize(
    "command",
    [
        ("copy_db", "toys:more", "--yes"),
        ("copy_db", "toys:more", "--plan"),
        ("copy_db", "toys:more", "--yes", "--query-set", "Some"),
        ("copy_db", "dev:toys", "--yes"),
        ("copy_db", "toys:dev", "--yes"),
        ("backup", "toys"),
        ("backup", "toys", "--query-set", "Some"),
        ("verify_migration", "table", "toys", "--yes"),
        ("migrate", "toys", "--backup", "--yes"),
        ("restore", "BACKUP:toys", "--yes"),
    ],
    ids=" ".join,
)
def test_unsupported_commands_are_clear_errors(mixed: Folder, command: tuple[str, ...]) -> None:
    mixed.migration("other")
    path = mixed.path / "migrations/_201501010000_table_migration.py"
    base = "tests.support.databases.toy.migration"
    path.write_text(
        f"from {base} import ToyMigration\n\n\nclass Table(ToyMigration):\n    def run(self): pass\n"
    )
    (mixed.path / "migrations/_201405290000_other_migration.py").unlink()
    before = keep_mongo_backup(mixed) and mixed.files()
    result = mixed.invoke(*(word.replace("BACKUP", "app__2014_05_29") for word in command))
    assert result.code == 2, result.output
    error, hint = (line for line in result.err.splitlines() if line.startswith(("Error", "Hint")))
    assert error.startswith("Error: 'toys' is a Toy database: monarch cannot copy, back up or restore those.")
    assert hint == "Hint: Use the tools of Toy."
    after = mixed.files()
    assert {name: after[name] for name in before} == before
    assert {name for name in after.keys() - before.keys() if "sqlite3" not in name} == set()
    assert [row["state"] for row in mixed.invoke("list_migrations", "toys", "--json").json] == ["New"]


def test_there_is_no_copy_between_kinds(mixed: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.databases.toy.ToyKind.transfers", True)
    result = mixed.invoke("copy_db", "dev:toys", "--yes")
    assert result.code == 2, result.output
    assert (
        "'dev' is MongoDB and 'toys' is Toy: monarch copies only between databases of one kind." in result.err
    )


def test_a_backup_of_one_kind_is_not_restored_into_another(
    mixed: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.databases.toy.ToyKind.transfers", True)
    name = keep_mongo_backup(mixed)
    before = mixed.files()
    result = mixed.invoke("restore", f"{name}:toys", "--yes")
    assert result.code == 2, result.output
    assert f"'{name}' is MongoDB and 'toys' is Toy: monarch copies only between" in result.err
    assert mixed.files() == before
