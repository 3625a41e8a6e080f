"""``generate``: names in words, folders, templates, and the kinds that there are."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monarch.commands.console.text import printable
from tests.commands.parsing.test_completion import complete
from tests.support.runs.shell import CommandResult, Folder

TEMPLATE = "# ours: $name costs $$5\nclass $class_name:\n    def run(self): ...\n"
MIGRATION = """\
from monarch import MongoBackedMigration


class MoveUsersMigration(MongoBackedMigration):

    def run(self):  # MoveUsersMigration costs $5
        super(MoveUsersMigration, self).run(); self.write({'$set': {'ü': 'MoveUsersMigration'}})
"""


@pytest.fixture
def made(folder: Folder) -> Folder:
    """A project without settings."""
    folder.write("migrations/__init__.py", "")
    return folder


@pytest.fixture
def both(folder: Folder) -> Folder:
    """A project with databases of both kinds, which do not run."""
    folder.settings(
        production={"uri": "mongodb://localhost/app"},
        billing={"uri": "postgresql://localhost/billing"},
        unknown={"uri": None},
    )
    return folder


def names(folder: Folder) -> list[str]:
    """Return the migrations of ``folder``, without their stamps."""
    top = folder.path / "migrations"
    files = sorted(top.rglob("_*_migration.py"), key=lambda path: path.name)
    return [f"{path.parent.relative_to(top)}/{path.name[14:-13]}".removeprefix("./") for path in files]


def refused(folder: Folder, *arguments: str) -> CommandResult:
    """Run a command that must change nothing, and fail as one that is called wrongly, in two lines."""
    before = folder.files()
    result = folder.invoke(*arguments)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 2)
    assert folder.files() == before
    return result


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Add email index", "add_email_index"),
        ("  Add e-mail\tindex! ", "add_e_mail_index"),
        ("add.indexes", "add_indexes"),
        ("a\nb", "a_b"),
        ("Größe ändern: Été, Łódź", "grosse_andern_ete_lodz"),
        ("users’ e\u0301mails don't", "users_emails_dont"),
        ("Fix read/write flags", "fix_read_write_flags"),
        ("🎉 party", "party"),
        ("class", "class"),
        ("AddUsers", "AddUsers"),
        ("_private_", "_private_"),
    ],
)
def test_a_name_in_words(made: Folder, text: str, name: str) -> None:
    result = made.invoke("generate", text)
    assert (result.code, result.err, names(made)) == (0, "", [name])
    (path,) = (made.path / "migrations").glob("_2*")
    assert result.out == f"Wrote migrations/{path.name}\n"
    compile(path.read_bytes(), "generated", "exec")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("../evil", "evil"),
        ("a/b", "b --in a"),
        ("a/日本", "add_indexes --in a"),
        ("migrations/2026/11/add_users.py", "add_users --in 2026/11"),
        ("migrations/add_users.py", "add_users"),
        ("日本", "add_indexes"),
        ("Add индекс", "add"),
        ("", "add_indexes"),
        ("___", "add_indexes"),
        ("\ud800", "add_indexes"),
        ("x" * 200, "x" * 120),
        ("word " * 40, "_".join(["word"] * 24)),
        ("1foo", "add_1foo"),
        ("2FA codes", "add_2fa_codes"),
        ("_202601010000_add_users_migration", "add_users"),
    ],
)
def test_invalid_names(made: Folder, text: str, hint: str) -> None:
    error, hinted = refused(made, "generate", text).err.splitlines()
    assert f"{printable(repr(text))} cannot be the name of a migration: " in error
    assert hinted == f"Hint: For example: monarch generate {hint}"


def test_words_without_quotes(made: Folder) -> None:
    assert 'put it in quotes: monarch generate "Add email index"' in (
        refused(made, "generate", "Add", "email", "index").err
    )
    hint = refused(made, "generate", "Add", "$(id)", "it's").err.splitlines()[1]
    assert hint.endswith("""generate 'Add $(id) it'"'"'s'""")
    missing = refused(made, "generate")
    assert "Missing argument 'NAME" in missing.err


def test_the_same_name_in_words_exists(made: Folder) -> None:
    made.invoke("generate", "add_users", "--in", "2026")
    assert "There is a migration 'add_users' already: migrations/2026/_" in (
        refused(made, "generate", "Add users").err
    )


@pytest.mark.parametrize("given", ["2026", "migrations/2026", "2026/", "./2026"])
def test_a_folder(made: Folder, given: str) -> None:
    result = made.invoke("generate", "x", "--in", given)
    assert result.out.startswith("Wrote migrations/2026/_2")
    assert names(made) == ["2026/x"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("../elsewhere", "is not in migrations/."),
        ("/tmp", "is not in migrations/."),
        ("2026/../../x", "is not in migrations/."),
        (".hidden", "is one in which monarch looks for no migrations."),
        ("node_modules", "is one in which monarch looks for no migrations."),
        ("2026/__pycache__", "is one in which monarch looks for no migrations."),
        ("x.py", "is one in which monarch looks for no migrations."),
        ("a\nb", "has a character in it that is not printable."),
    ],
)
def test_folders_that_cannot_be_used(made: Folder, given: str, message: str) -> None:
    assert message in refused(made, "generate", "x", "--in", given).err


def test_a_full_disk_leaves_no_folder(made: Folder, small_disk: Path) -> None:
    (made.path / "migrations/__init__.py").unlink()
    (made.path / "migrations").rmdir()
    (made.path / "migrations").symlink_to(small_disk)
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 4096)
    result = made.monarch("generate", "x", "--in", "2026/11")
    assert result.code == 2
    assert "cannot be written: No space left on device." in result.err
    assert not (small_disk / "2026").exists()


def test_what_is_too_long_for_the_file_system(made: Folder) -> None:
    long = "a" * 5000
    assert "a… cannot be read: File name too long.\n" in refused(made, "generate", "x", "--from", long).err
    for folder in ("a" * 300, long):
        assert " cannot be written: File name too long." in refused(made, "generate", "x", "--in", folder).err


@pytest.mark.parametrize("out_of_reach", [True, False])
def test_a_template_that_may_not_be_read(made: Folder, out_of_reach: bool, plain_rights: list[str]) -> None:
    made.write("secret/t.tmpl", TEMPLATE)
    hidden = made.path / ("secret" if out_of_reach else "secret/t.tmpl")
    hidden.chmod(0o000)
    try:
        result = made.monarch("generate", "x", "--from", "secret/t.tmpl", prefix=plain_rights)
    finally:
        hidden.chmod(0o700)
    assert (result.code, result.err.splitlines()[1]) == (2, "Hint: It must be a file that you may read.")
    assert "Permission denied" in result.err


def test_a_file_in_place_of_the_folder(made: Folder) -> None:
    made.write("migrations/2026", "")
    assert "cannot be written: " in refused(made, "generate", "x", "--in", "2026").err


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        ("{0:%Y}", "{1:%Y}"),
        ("{0:%Y}/{0:%m}", "{1:%Y}/{1:%m}"),
        ("{0:%Y-%m}", "{1:%Y-%m}"),
        ("users", "."),
        ("2001", "."),
        (".", "."),
    ],
)
def test_the_folders_of_dates_are_followed(made: Folder, newest: str, expected: str) -> None:
    then, now = datetime(2024, 12, 31, tzinfo=UTC), datetime.now(UTC)
    made.write(f"migrations/{newest.format(then)}/_202412310000_a_migration.py", MIGRATION)
    assert made.invoke("generate", "b").code == 0
    assert names(made)[-1] == f"{expected.format(then, now)}/b".removeprefix("./")
    assert made.invoke("generate", "c", "--in", ".").code == 0
    assert names(made)[-1] == "c"


@pytest.mark.parametrize(
    "given", ["../backfill.txt", "backfill", "backfill.py.tmpl", "migrations/own.py.tmpl"]
)
def test_a_template(made: Folder, given: str) -> None:
    for name in ("migrations/backfill.py.tmpl", "migrations/own.py.tmpl"):
        made.write(name, TEMPLATE)
    made.write("migrations/migration.py.tmpl", "class Other: ...\n")
    (made.path.parent / "backfill.txt").write_text("\ufeff" + TEMPLATE.replace("\n", "\r\n"))
    assert made.invoke("generate", "Move orders", "--from", given).code == 0
    (path,) = (made.path / "migrations").glob("_2*")
    assert path.read_bytes() == (
        b"# ours: move_orders costs $5\nclass MoveOrdersMigration:\n    def run(self): ...\n"
    )


@pytest.mark.parametrize("given", ["move_users", "migrations/2025/_202501010000_move_users_migration.py"])
def test_a_migration_as_the_template(made: Folder, given: str) -> None:
    made.write("migrations/2025/_202501010000_move_users_migration.py", MIGRATION)
    assert made.invoke("generate", "move_orders", "--from", given, "--in", ".").code == 0
    (path,) = (made.path / "migrations").glob("_2*")
    assert path.read_text(encoding="utf-8") == MIGRATION.replace(
        "class MoveUsersMigration", "class MoveOrdersMigration"
    ).replace("super(MoveUsersMigration", "super(MoveOrdersMigration")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"class $nonsense: ...", "it uses the unknown $nonsense."),
        (b"class $class_name(:", "it renders invalid Python: "),
        (b"# class_name\ncosts $ 5", "Invalid placeholder in string: line 2, col 7."),
        (b"\xff\xfe", "it is not a text in UTF-8."),
        (b"x = 1\n", "it defines no class."),
    ],
)
@pytest.mark.parametrize("name", ["t.tmpl", "t.py"])
def test_a_broken_template(made: Folder, name: str, text: bytes, message: str) -> None:
    (made.path / name).write_bytes(text)
    result = refused(made, "generate", "x", "--from", name)
    assert f"The template {name} cannot be used: " in result.err
    assert message in result.err


def test_a_broken_migration_is_no_template(made: Folder) -> None:
    """It is not said to be a template with an unknown $set."""
    made.write("migrations/_202501010000_a_migration.py", "class A:\n    x = {'$set': 5}\n    y = (\n")
    result = refused(made, "generate", "x", "--from", "a")
    assert (
        "migrations/_202501010000_a_migration.py cannot be used: it renders invalid Python: '(' was"
        in result.err
    )


def test_a_migration_with_two_classes_is_no_template(made: Folder) -> None:
    made.write("two.py", "class A:\n  def run(self): ...\nclass B:\n  def run(self): ...\n")
    assert "it has 2 classes with a run(): A, B." in refused(made, "generate", "x", "--from", "two.py").err


def test_templates_that_there_are_not(made: Folder) -> None:
    assert "There is no template 'nothing'.\nHint: Name a file, a NAME.py.tmpl in migrations/, or a" in (
        refused(made, "generate", "x", "--from", "nothing").err
    )
    made.write("migrations/backfill.py.tmpl", TEMPLATE)
    assert "in migrations/ (there is: backfill), or" in refused(made, "generate", "x", "--from", "no").err
    assert "is not a file" in refused(made, "generate", "x", "--from", "migrations").err
    os.mkfifo(made.path / "pipe")
    assert "is not a file" in refused(made, "generate", "x", "--from", "pipe").err
    both = refused(made, "generate", "x", "--from", "backfill", "--kind", "mongo")
    assert "Both --kind and --from are given." in both.err


def test_an_environment_in_place_of_a_name(both: Folder) -> None:
    result = refused(both, "generate", "production")
    assert "'production' is an environment, and generate takes the name of what is new." in result.err
    assert (
        "For example: monarch generate add_indexes --kind mongo. The kinds here are mongo (MongoDB) and"
        in (result.err)
    )
    assert 'monarch generate "Add invoices" --kind postgres.' in (
        refused(both, "generate", "billing", "Add", "invoices").err
    )
    assert "monarch generate add_invoices --kind postgres." in (
        refused(both, "generate", "add_invoices", "billing").err
    )
    assert "monarch generate add_invoices --kind postgres" in (
        refused(both, "generate", "postgres", "add_invoices").err
    )
    assert 'monarch generate "Add to production"' in (
        refused(both, "generate", "Add", "to", "production").err
    )
    both.settings(production={"uri": "mongodb://localhost/app"})
    hint = refused(both, "generate", "production", "x").err.splitlines()[1]
    assert hint == "Hint: For example: monarch generate x"


@pytest.mark.parametrize("command", ["generate", "generate_query_set"])
def test_the_kind_is_asked_for_in_a_terminal(both: Folder, command: str) -> None:
    result = refused(both, command, "x")
    assert "--kind mongo or --kind postgres (MongoDB: production; PostgreSQL: billing)" in result.err
    terminal = both.terminal(command, "Add invoices")
    terminal.expect("mongo: production")
    terminal.expect("postgres: billing")
    terminal.expect("Which kind is it for")
    terminal.sendline("oracle")
    terminal.expect("is not one of")
    terminal.sendline("postgres")
    terminal.expect("Wrote ")
    terminal.read()
    assert terminal.wait() == 0
    (written,) = (path for path in both.files() if "add_invoices" in path)
    assert b"ostgres" in both.files()[written] or b"dump_table" in both.files()[written]
    before = both.files()
    terminal = both.terminal(command, "more")
    terminal.expect("Which kind")
    terminal.sendintr()
    terminal.expect("Interrupted. Nothing was written.")
    terminal.read()
    assert (terminal.wait(), both.files()) == (130, before)


def test_a_template_needs_no_kind(both: Folder) -> None:
    both.write("migrations/backfill.py.tmpl", TEMPLATE)
    assert both.invoke("generate", "x", "--from", "backfill").code == 0
    both.write("migrations/migration.py.tmpl", TEMPLATE)
    assert both.invoke("generate", "y").code == 0
    assert names(both) == ["x", "y"]


def test_completion(made: Folder) -> None:
    made.write("migrations/2025/_202501010000_move_users_migration.py", MIGRATION)
    made.write("migrations/backfill.py.tmpl", TEMPLATE)
    assert complete(made, "monarch generate x --in ") == {"2025"}
    assert complete(made, "monarch generate x --from b") == {"backfill"}
    assert complete(made, "monarch generate x --from mo") == {"move_users"}
    assert complete(made, "monarch generate x --kind ") == {"mongo", "postgres"}
