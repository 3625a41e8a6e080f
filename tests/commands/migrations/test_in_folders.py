"""Migrations in folders of ``migrations/``, on real servers: they may be moved, and stay the same ones."""

from __future__ import annotations

from tests.support.runs.billing import Billing
from tests.support.runs.shell import Folder


def move(folder: Folder, key: str, to: str) -> None:
    """Move a migration into the folder ``to`` of ``migrations/``."""
    top = folder.path / "migrations"
    (top / to).mkdir(parents=True, exist_ok=True)
    (found,) = top.rglob(f"{key}.py")
    found.rename(top / to / found.name)


def test_a_moved_migration_has_run_and_is_not_edited(project: Folder) -> None:
    old = project.migration("old", "self.database.pets.insert_one({'_id': 1})", stamp="202501010000")
    assert project.monarch("migrate", "dev").code == 0
    new = project.migration(
        "new",
        "from pathlib import Path\n"
        "self.database.pets.insert_one({'_id': Path(__file__).with_suffix('.txt').read_text()})",
        stamp="202601010000",
    )
    project.write(f"migrations/2026/01/{new}.txt", "Waldi")
    move(project, old, "2025")
    move(project, new, "2026/01")
    rows = project.invoke("list_migrations", "dev", "--json").json
    assert [(row["key"], row["state"], row["file"]) for row in rows] == [
        (old, "Completed", f"migrations/2025/{old}.py"),
        (new, "New", f"migrations/2026/01/{new}.py"),
    ]
    assert not any(row[what] for row in rows for what in ("edited", "gone", "late"))
    planned = project.invoke("migrate", "dev", "--plan", "--json").json
    assert [step["file"] for step in planned] == [f"migrations/2026/01/{new}.py"]
    verified = project.monarch("verify_migration", f"migrations/2026/01/{new}.py", "dev", "--yes")
    assert (verified.code, "The second run failed" in verified.out) == (1, True)
    assert project.monarch("migrate", "dev").code == 0
    assert project.invoke("check", "dev").code == 0
    assert {pet["_id"] for pet in project.database.pets.find()} == {1, "Waldi"}
    # Back again, and into another folder: as before.
    move(project, old, "")
    move(project, new, "old ones")
    assert project.invoke("check", "dev").code == 0


def test_a_migration_that_fails_in_a_folder_names_its_file(project: Folder) -> None:
    key = project.migration("broken", "1 / 0")
    move(project, key, "2026/a, b: 5%;]")
    result = project.monarch("migrate", "dev", variables={"GITHUB_ACTIONS": "true"})
    assert result.code == 1
    place = f"migrations/2026/a, b: 5%;]/{key}.py"
    assert f"ZeroDivisionError: division by zero ({place}, line 6)" in result.err
    assert f"::error file=migrations/2026/a%2C b%3A 5%25;]/{key}.py,line=6::" in result.err
    again = project.monarch("migrate", "dev", "--retry", variables={"TF_BUILD": "true"})
    assert f"sourcepath=migrations/2026/a, b: 5%25%3B%5D/{key}.py;linenumber=6;]" in again.err


def test_two_of_one_name_stop_every_command(project: Folder) -> None:
    key = project.migration("twice")
    source = (project.path / f"migrations/{key}.py").read_bytes()
    (project.path / "migrations/2026").mkdir()
    (project.path / f"migrations/2026/{key}.py").write_bytes(source)
    for command in (("migrate", "dev"), ("list_migrations", "dev"), ("check", "dev"), ("generate", "x")):
        result = project.monarch(*command)
        assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 2)
        assert f"migrations/{key}.py and migrations/2026/{key}.py." in result.err
    assert project.states() == {}


def test_processes_that_a_migration_spawns_find_its_module(project: Folder) -> None:
    """multiprocessing imports the module by its name."""
    key = project.migration("pool", "")
    project.write(
        f"migrations/{key}.py",
        """
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        from monarch import MongoBackedMigration


        def twice(number):
            return 2 * number


        class PoolMigration(MongoBackedMigration):
            def run(self):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    self.database.pets.insert_one({"_id": list(pool.map(twice, [21]))[0]})
        """,
    )
    move(project, key, "2026/11")
    assert project.monarch("migrate", "dev").code == 0
    assert project.database.pets.find_one() == {"_id": 42}


def test_a_moved_migration_of_postgres_is_not_edited(billing: Billing) -> None:
    """The SQL beside it, by its own path."""
    key = billing.migration(
        "drop_dogs",
        "from pathlib import Path\nself.connection.execute(Path(__file__).with_suffix('.sql').read_text())",
    )
    billing.folder.write(f"migrations/2014/{key}.sql", "DELETE FROM dogs WHERE weight > 20")
    move(billing.folder, key, "2014")
    assert billing.folder.monarch("migrate", "dev").code == 0
    assert billing.rows("SELECT name FROM dogs ORDER BY name") == [("Bella",), ("Waldi",)]
    for to in ("", "2014/05"):
        move(billing.folder, key, to)
        (row,) = billing.folder.invoke("list_migrations", "dev", "--json").json
        assert (row["state"], row["edited"], row["gone"]) == ("Completed", False, False)
        assert row["file"] == "/".join(part for part in ("migrations", to, f"{key}.py") if part)
