"""``init`` and ``generate``."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.runs.shell import Folder


def test_init_writes_commented_settings_that_work(folder: Folder) -> None:
    result = folder.monarch("init")
    assert (result.code, result.err) == (0, "")
    assert set(folder.files()) == {"migrations/__init__.py", "migrations/settings.py"}
    listed = folder.monarch("list_environments", "--json")
    assert listed.code == 0
    production, development = listed.json
    assert production["missing"] == "uri"
    assert development["server"] == "embedded"
    uri = {"PRODUCTION_MONGODB_URI": "mongodb://me:hush-hush@far.example.com/app"}
    assert folder.monarch("list_environments", "--json", variables=uri).json[0]["server"] == "far.example.com"


def test_init_writes_settings_of_the_other_kind(folder: Folder) -> None:
    result = folder.monarch("init", "--kind", "postgres")
    assert (result.code, result.err) == (0, "")
    listed = folder.monarch("list_environments", "--json")
    assert [(one["kind"], one["missing"], one["server"]) for one in listed.json] == [
        ("postgres", "uri", "the local socket"),
        ("postgres", None, "embedded"),
    ]
    uri = {"DATABASE_URL": "postgresql://me:hush-hush@far.example.com/app"}
    listed = folder.monarch("list_environments", "--json", variables=uri)
    assert listed.json[0]["server"] == "far.example.com"
    assert (listed.json[0]["hazardous"] is not None, "hush-hush" in listed.output) == (True, False)
    # What is written next is for the same kind.
    assert folder.monarch("generate", "add_invoices").err == ""
    (written,) = (folder.path / "migrations").glob("_*_add_invoices_migration.py")
    assert "PostgresBackedMigration" in written.read_text()


def test_init_without_a_terminal_does_not_overwrite(folder: Folder) -> None:
    folder.write("migrations/settings.py", "MINE = 1")
    before = folder.files()
    result = folder.monarch("init")
    assert result.code == 2
    assert "add --yes" in result.err
    assert folder.files() == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_init_asks_before_it_overwrites_and_keeps_the_old_file(
    folder: Folder, answer: str, code: int
) -> None:
    folder.write("migrations/settings.py", "MINE = 1")
    terminal = folder.terminal("init")
    terminal.expect("Replace it with a new one")
    terminal.sendline(answer)
    terminal.read()
    terminal.wait()
    assert terminal.exitstatus == code
    files = folder.files()
    old = [name for name in files if name.endswith(".old")]
    if code:
        assert files["migrations/settings.py"] == b"MINE = 1"
        assert not old
    else:
        assert b"ENVIRONMENTS" in files["migrations/settings.py"]
        assert files[old[0]] == b"MINE = 1"


def test_generate_where_no_environment_tells_its_kind(folder: Folder) -> None:
    folder.settings(dev={"uri": None})
    result = folder.monarch("generate", "first")
    assert result.code == 0
    assert "No environment has a 'uri' here, so it is for MongoDB." in result.err
    assert "--kind postgres" in result.err
    # Now a file tells it.
    assert folder.monarch("generate", "second").err == ""
    for written in (folder.path / "migrations").glob("_*"):
        written.unlink()
    folder.settings(dev={"uri": "postgresql://localhost/app"})
    assert folder.monarch("generate", "third").err == ""
    (third,) = (folder.path / "migrations").glob("_*_third_migration.py")
    assert "PostgresBackedMigration" in third.read_text()


@pytest.mark.parametrize("command", ["generate", "create"])
def test_generate(folder: Folder, command: str) -> None:
    folder.monarch("init")
    result = folder.monarch(command, "add_indexes_to_user_table")
    assert result.code == 0
    match = re.fullmatch(
        r"Wrote (migrations/_(\d{12})_add_indexes_to_user_table_migration\.py)\n", result.out
    )
    assert match
    now = datetime.now(UTC)
    assert abs((now - datetime.strptime(match[2] + "Z", "%Y%m%d%H%M%z")).total_seconds()) < 120
    source = (folder.path / match[1]).read_text()
    assert "class AddIndexesToUserTableMigration(MongoBackedMigration):" in source
    assert "raise NotImplementedError" in source
    comments = [line.strip() for line in source.splitlines() if line.strip().startswith("#")]
    for begin in ("# transaction = True", "# for users in self.batches('users'):", "# def rollback(self):"):
        assert any(line.startswith(begin) for line in comments), begin


def test_a_new_migration_always_runs_last(folder: Folder) -> None:
    folder.write("migrations/__init__.py", "")
    names = ["zebra", "yak", "ant"]
    for name in names:
        folder.monarch("generate", name)
    files = sorted(path.name for path in (folder.path / "migrations").glob("_2*"))
    assert [name.split("_")[2] for name in files] == names


def test_a_template_of_the_project_is_used(folder: Folder) -> None:
    folder.write("migrations/__init__.py", "")
    folder.write("migrations/migration.py.tmpl", "# ours: $name costs $$5\nclass $class_name: ...\n")
    folder.monarch("generate", "x")
    (path,) = (folder.path / "migrations").glob("_2*")
    assert path.read_text() == "# ours: x costs $5\nclass XMigration: ...\n"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("class $nonsense: ...", "it uses the unknown $nonsense"),
        ("class $class_name(:", "invalid Python"),
        ("costs $ 5", "placeholder"),
    ],
)
def test_a_broken_template_is_reported(folder: Folder, template: str, message: str) -> None:
    folder.write("migrations/__init__.py", "")
    folder.write("migrations/migration.py.tmpl", template)
    before = folder.files()
    result = folder.invoke("generate", "x")
    assert result.code == 2
    assert message in result.err
    assert folder.files() == before


@pytest.mark.parametrize("again", ["add_users", "Add_Users"])
def test_a_name_that_exists(folder: Folder, again: str) -> None:
    folder.write("migrations/__init__.py", "")
    folder.monarch("generate", "add_users")
    before = folder.files()
    result = folder.invoke("generate", again)
    assert result.code == 2
    assert f"There is a migration {again!r} already" in result.err
    assert folder.files() == before


def test_generate_outside_a_project(folder: Folder) -> None:
    result = folder.monarch("generate", "x")
    assert result.code == 2
    assert "There is no folder migrations/ here" in result.err
    assert "monarch init" in result.err


def test_a_read_only_folder(folder: Folder, plain_rights: list[str]) -> None:
    folder.path.chmod(0o500)
    try:
        result = folder.monarch("init", prefix=plain_rights)
    finally:
        folder.path.chmod(0o700)
    assert result.code == 2
    assert "cannot be written: Permission denied." in result.err
    assert folder.files() == {}


def test_repeated_init_keeps_every_old_file(folder: Folder) -> None:
    folder.write("migrations/settings.py", "PRECIOUS = 1")
    runs = [folder.start("init", "--yes") for _ in range(6)]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0, out + err
    kept = [content for name, content in folder.files().items() if name.endswith(".old")]
    assert len(kept) == 6
    assert b"PRECIOUS = 1" in kept


@pytest.mark.parametrize("command", [["init", "--yes"], ["generate", "x"]])
def test_a_full_disk_does_not_change_existing_files(
    folder: Folder, small_disk: Path, command: list[str]
) -> None:
    (folder.path / "migrations").symlink_to(small_disk)
    folder.write("migrations/settings.py", "PRECIOUS = 1")
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    result = folder.monarch(*command)
    assert result.code == 2
    assert "cannot be written: No space left on device." in result.err
    assert sorted(path.name for path in small_disk.iterdir()) == ["filler", "settings.py"]
    assert (small_disk / "settings.py").read_text() == "PRECIOUS = 1"
