"""The commands about migrations besides migrate: mark, rollback, unlock, check, history."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from pymongo.monitoring import CommandListener, CommandStartedEvent

from tests.commands.migrations.test_migrate import await_line
from tests.commands.migrations.test_migrate_options import INSERT, ran_by
from tests.support.runs.shell import Folder


def edit(project: Folder, key: str, old: str, new: str) -> None:
    path = project.path / "migrations" / f"{key}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def with_rollback(project: Folder, name: str, undo: str = "self.database.ran.delete_many({})") -> str:
    key = project.migration(name, INSERT)
    path = project.path / "migrations" / f"{key}.py"
    path.write_text(path.read_text() + f"\n    def rollback(self):\n        {undo}\n")
    return key


def test_the_exit_code_of_check(project: Folder) -> None:
    def check() -> int:
        return project.invoke("check", "dev").code

    assert check() == 0
    one, two = project.migration("one", INSERT), project.migration("two", INSERT)
    result = project.invoke("check", "dev")
    assert (result.code, result.out) == (3, f"Pending on dev: {one}, {two} (monarch migrate dev)\n")
    project.invoke("migrate", "dev")
    result = project.invoke("check", "dev")
    assert (result.code, result.out) == (0, "dev is up to date: 2 migrations.\n")
    edit(project, one, "insert_one", "insert_many")
    result = project.invoke("check", "dev", "--json")
    assert (result.code, result.json["edited"], result.json["exit_code"]) == (7, [one], 7)
    edit(project, one, "insert_many", "insert_one")
    assert check() == 0
    three = project.migration("three", "raise ValueError")
    project.invoke("migrate", "dev")
    result = project.invoke("check", "dev")
    assert result.code == 6
    assert f"Failed or interrupted on dev: {three} (see why: monarch history dev" in result.out
    edit(project, three, "raise ValueError", "pass")
    project.invoke("migrate", "dev", "--retry")
    (project.path / "migrations" / f"{three}.py").unlink()
    result = project.invoke("check", "dev")
    assert (result.code, result.out.count(three)) == (8, 1)
    (project.path / "migrations" / f"{one}.py").unlink()
    result = project.invoke("check", "dev")
    assert result.code == 7
    assert f"Have run, but their files are gone: {one}" in result.out
    project.settings(dev={"host": "127.0.0.1:9", "db_name": "x", "serverSelectionTimeoutMS": 200})
    assert check() == 5


def test_check_asks_the_server_twice_at_most(project: Folder) -> None:
    from monarch.databases.mongo.connection import client as connection
    from monarch.project import Project

    sent: list[str] = []

    class Listener(CommandListener):
        def started(self, event: CommandStartedEvent) -> None:
            sent.append(event.command_name)

        def succeeded(self, event: object) -> None: ...
        def failed(self, event: object) -> None: ...

    for number in range(150):
        project.migration(f"m{number}")
    project.invoke("mark", "dev", "--all", "--as", "completed")
    arguments = connection._arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            connection, "_arguments", lambda env: {**arguments(env), "event_listeners": [Listener()]}
        )
        assert Project(project.path).check("dev").known == 150
    assert [name for name in sent if name not in ("saslContinue", "endSessions")] == ["aggregate"] * 2


def test_an_edit_is_reported_until_it_is_accepted(project: Folder) -> None:
    one, two = project.migration("one"), project.migration("two")
    project.invoke("migrate", "dev")
    edit(project, one, "pass", "...")
    (project.path / "migrations" / f"{two}.py").unlink()
    listed = project.invoke("list_migrations", "dev").out
    assert re.search(rf"{one} +Completed, edited", listed)
    assert re.search(rf"{two} +Completed, file missing", listed)
    result = project.invoke("mark", "dev", "one", two, "--accept-edit")
    assert result.code == 0, result.output
    assert "2 migrations accepted as it is now. Nothing was run." in result.out
    listed = project.invoke("list_migrations", "dev").out
    assert "edited" not in listed
    assert "file missing" not in listed
    assert project.invoke("check", "dev").code == 0
    last = project.invoke("history", "dev", "--json").json[-1]
    assert (last["key"], last["action"], last["user"] is not None) == (two, "accept", True)
    new = project.migration("new")
    result = project.invoke("mark", "dev", "new", "--accept-edit")
    assert result.code == 1
    assert f"{new} is New on 'dev': there is no edit to accept." in result.err


def test_an_existing_database_starts_with_a_mark(project: Folder) -> None:
    keys = [project.migration(name, INSERT) for name in ("one", "two")]
    result = project.invoke("mark", "dev", "--all", "--as", "completed")
    assert result.code == 0
    assert f"{keys[0]}: marked as Completed on dev, was New" in result.out
    assert project.invoke("migrate", "dev").out.startswith("Nothing to do")
    assert ran_by(project) == []
    assert project.states() == dict.fromkeys(keys, "Completed")
    assert project.invoke("mark", "dev", "one", "--as", "new").code == 0
    assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["One"]
    entries = [(row["action"], row["outcome"]) for row in project.invoke("history", "dev", "--json").json]
    assert entries == [("mark", "Completed"), ("mark", "Completed"), ("mark", "New"), ("run", "Completed")]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["one"],
        ["--as", "completed"],
        ["one", "--as", "completed", "--accept-edit"],
        ["one", "--all", "--as", "new"],
        ["one", "--as", "done"],
        ["onne", "--as", "new"],
    ],
)
def test_an_ambiguous_mark_is_refused(project: Folder, words: list[str]) -> None:
    project.migration("one")
    result = project.invoke("mark", "dev", *words)
    assert result.code == 2
    assert result.err.count("\n") == 2
    assert project.database.list_collection_names() in ([], ["monarch_lease"])


def test_mark_rollback_and_unlock_ask_for_hazardous_environments(project: Folder) -> None:
    with_rollback(project, "one")
    project.invoke("migrate", "production", "--yes")
    for command in (["mark", "production", "one", "--as", "new"], ["rollback", "production"]):
        result = project.invoke(*command)
        assert result.code == 2
        assert "add --yes" in result.err
    assert set(project.states().values()) == {"Completed"}


def test_a_mark_resolves_a_failed_migration(project: Folder) -> None:
    key = project.migration("one", INSERT + "\nraise ValueError")
    project.invoke("migrate", "dev")
    assert "was Failed" in project.invoke("mark", "dev", "one", "--as", "completed").out
    assert project.invoke("migrate", "dev").code == 0
    assert project.states() == {key: "Completed"}


def test_rollback_undoes_the_newest_migration_and_is_recorded(project: Folder) -> None:
    one, two = with_rollback(project, "one"), with_rollback(project, "two")
    project.invoke("migrate", "dev")
    result = project.invoke("rollback", "dev")
    assert result.code == 0, result.output
    assert f"{two} is rolled back on dev, and is New there." in result.out
    assert project.states() == {one: "Completed", two: "New"}
    assert ran_by(project) == []
    last = project.invoke("history", "dev", "--json").json[-1]
    assert (last["key"], last["action"], last["outcome"], last["documents"]) == (
        two,
        "rollback",
        "Completed",
        2,
    )
    assert project.invoke("check", "dev").code == 3
    assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["Two"]
    assert project.invoke("rollback", "dev", "one").code == 0
    assert project.states() == {one: "New", two: "Completed"}


def test_rollback_refuses_what_cannot_be_rolled_back(project: Folder) -> None:
    result = project.invoke("rollback", "dev")
    assert result.code == 1
    assert "Nothing has run on 'dev'" in result.err
    key = project.migration("one", INSERT)
    result = project.invoke("rollback", "dev", "one")
    assert f"{key} has not run on 'dev'" in result.err
    project.invoke("migrate", "dev")
    result = project.invoke("rollback", "dev")
    assert result.code == 1
    assert f"{key} has no rollback()" in result.err
    assert project.states() == {key: "Completed"}
    project.migration("two")
    (project.path / "migrations" / f"{key}.py").unlink()
    result = project.invoke("rollback", "dev")
    assert result.code == 1
    assert f"{key} is the newest on 'dev', and its file is not here." in result.err


def test_a_failed_rollback_can_be_retried_and_blocks_everything_else(project: Folder) -> None:
    key = with_rollback(project, "one", "raise ValueError('no')")
    project.invoke("migrate", "dev")
    result = project.invoke("rollback", "dev")
    assert result.code == 1
    assert f"`monarch rollback dev {key}`" in result.err
    assert project.states() == {key: "Failed"}
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert f"`monarch rollback dev {key}`" in result.err
    edit(project, key, "raise ValueError('no')", "self.database.ran.drop()")
    assert project.invoke("rollback", "dev").code == 0
    assert project.states() == {key: "New"}


def test_a_failed_migration_blocks_the_rollback_of_earlier_ones(project: Folder) -> None:
    one = with_rollback(project, "one")
    two = project.migration("two", "raise ValueError('no')")
    project.invoke("migrate", "dev")
    result = project.invoke("rollback", "dev")
    assert result.code == 1
    assert f"{two} failed on 'dev'" in result.err
    assert project.states() == {one: "Completed", two: "Failed"}


@pytest.fixture
def held(project: Folder) -> subprocess.Popen[str]:
    """A run that holds the lease until it is killed."""
    project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    process = project.start("migrate", "dev")
    await_line(process, "working")
    return process


def test_unlock_names_the_holder_and_asks(project: Folder, held: subprocess.Popen[str]) -> None:
    result = project.invoke("unlock", "dev")
    assert result.code == 2
    assert f"dev is held by process {held.pid} of " in result.err
    assert "which is on this machine and STILL RUNS: migrate dev, for " in result.err
    assert "add --yes" in result.err
    project.database.monarch_lease.update_one({}, {"$set": {"holder.link": "https://ci.example.com/jobs/7"}})
    terminal = project.terminal("unlock", "dev")
    terminal.expect("https://ci.example.com/jobs/7")
    terminal.expect("are you SURE")
    terminal.sendline("n")
    terminal.expect("Nothing was changed")
    result = project.invoke("unlock", "dev", "--yes")
    assert result.code == 0
    assert "Unlocked dev." in result.out
    assert project.invoke("unlock", "dev").out == "Nobody holds dev.\n"
    held.kill()
    held.communicate()


def test_after_an_unlock_a_run_that_hangs_is_named_with_the_way_on(
    project: Folder, held: subprocess.Popen[str]
) -> None:
    held.send_signal(signal.SIGSTOP)
    assert project.invoke("unlock", "dev", "--yes").code == 0
    result = project.invoke("migrate", "dev", "--no-wait")
    assert result.code == 4
    assert f"by process {held.pid} of" in result.err
    assert "If it hangs, end that process, and see `monarch list_migrations dev`." in result.err
    held.kill()
    held.communicate()


def test_the_next_run_names_the_migration_of_an_unlocked_holder_elsewhere(
    project: Folder, held: subprocess.Popen[str]
) -> None:
    held.kill()
    held.communicate()
    elsewhere = {"host": "elsewhere", "pid": os.getpid()}
    project.database.monarch_lease.update_one({}, {"$set": {f"holder.{k}": v for k, v in elsewhere.items()}})
    project.database.mongo_migration_journal.update_one({}, {"$set": elsewhere})
    (row,) = project.invoke("list_migrations", "dev", "--json").json
    assert row["state"] == "Processing"
    assert project.invoke("migrate", "dev", "--no-wait").code == 4
    assert project.invoke("unlock", "dev", "--yes").code == 0
    (row,) = project.invoke("list_migrations", "dev", "--json").json
    assert row["state"] == "Interrupted"
    result = project.invoke("migrate", "dev", "--no-wait")
    assert result.code == 1
    assert f"by process {os.getpid()} of " in result.err
    assert " on elsewhere" in result.err


def test_the_history_of_one_migration_shows_everything(project: Folder) -> None:
    key = project.migration("one", "echo('before it broke')\nraise ValueError('no')")
    project.invoke("migrate", "dev")
    edit(project, key, "raise ValueError('no')", "pass")
    project.invoke("migrate", "dev", "--retry")
    result = project.invoke("history", "dev", "one")
    assert result.code == 0
    assert result.out.index("run of") < result.out.index("retry of")
    for part in ("error: ValueError: no", "Traceback (most recent call last)", "before it broke", "sha256 "):
        assert part in result.out
    table = project.invoke("history", "dev").out.splitlines()
    assert len(table) == 3
    assert len(project.invoke("history", "dev", "--last", "1").out.splitlines()) == 2
    assert "'x' is not a whole number from 1." in project.invoke("history", "dev", "--last", "x").err
    assert project.invoke("history", "dev", "other").code == 2


def test_all_environments_are_in_one_table(project: Folder) -> None:
    assert project.server is not None
    entry = {"uri": project.server.uri, "db_name": project.db_name}
    project.settings(
        dev=entry,
        other={**entry, "db_name": f"{project.db_name}_other"},
        laptop={"uri": None, "db_name": "app"},
    )
    one = project.migration("one")
    project.invoke("migrate", "dev")
    result = project.invoke("list_migrations", "--all")
    assert result.code == 0, result.output
    heading, row = result.out.splitlines()
    assert heading.split() == ["MIGRATION", "dev", "other", "laptop"]
    assert row.split() == [one, "Completed", "New", "?"]
    assert "laptop could not be read: Environment 'laptop' has no 'uri'" in result.err
    dev, other, laptop = project.invoke("list_migrations", "--all", "--json").json
    assert (dev["migrations"], other["migrations"]) == ({one: "Completed"}, {one: "New"})
    assert laptop["error"] is not None
    project.settings(dev=entry, gone={"host": "127.0.0.1:9", "db_name": "x", "serverSelectionTimeoutMS": 200})
    result = project.invoke("list_migrations", "--all")
    assert result.code == 5
    assert "Not all environments could be read: gone." in result.err
    assert "Completed" in result.out
    for words in ([], ["dev", "--all"]):
        assert project.invoke("list_migrations", *words).code == 2


def test_verify_migration_needs_rights_on_another_database(project: Folder) -> None:
    """The user has readWrite on its own database, so that role is not what the hint asks for."""
    assert project.server is not None
    key = project.migration("same", INSERT)
    admin = project.database.client[project.db_name]
    admin.command("createUser", "writer", pwd="hush-hush", roles=["readWrite"])
    user = {"host": project.server.host, "username": "writer", "password": "hush-hush"}
    project.settings(dev={**user, "db_name": project.db_name})
    try:
        result = project.invoke("verify_migration", key, "dev", "--engine", "native")
    finally:
        admin.command("dropUser", "writer")
    assert result.code == 5, result.output
    assert "refuses user 'writer'" in result.err
    assert "readWrite" not in result.err
    assert (
        "Hint: The scratch copy is another database on the server of 'dev'. Use an account that may"
        in result.err
    )


def test_verify_migration_reports_the_changes_of_a_second_run(project: Folder) -> None:
    project.database.users.insert_many([{"_id": n, "name": "Ann"} for n in range(3)])
    project.database.users.create_index("name")
    with_rollback(project, "earlier")
    project.migration("same", "self.database.users.update_many({}, {'$set': {'name': 'ann'}})")
    project.migration("more", "self.database.users.update_many({}, {'$inc': {'n': 1}})")
    project.migration("index", "self.database.users.create_index('n')")
    project.migration("once", "self.database.create_collection('new')")
    before = set(project.server.client().list_database_names()) if project.server else set()
    result = project.invoke("verify_migration", "same", "dev")
    assert result.code == 0, result.output
    assert "The second run changed nothing" in result.out
    assert "wrote 3 documents" in result.out
    result = project.invoke("verify_migration", "more", "dev")
    assert result.code == 1
    assert "The second run changed users" in result.out
    assert project.invoke("verify_migration", "index", "dev").code == 0
    result = project.invoke("verify_migration", "once", "dev", "--json")
    assert (result.code, result.json["idempotent"], result.json["changed"]) == (1, False, [])
    assert "CollectionInvalid" in result.json["error"]
    assert "it had run there before" not in project.invoke("verify_migration", "index", "dev").out
    project.migration("broken", "raise ValueError('no')")
    result = project.invoke("verify_migration", "broken", "dev")
    assert result.code == 1
    assert "broken_migration failed on a scratch copy of 'dev': ValueError: no" in result.err
    assert "failed on 'dev'" not in result.err
    assert project.server is not None
    assert set(project.server.client().list_database_names()) == before
    assert project.database.users.find_one() == {"_id": 0, "name": "Ann"}
    assert project.states() == {}
    project.invoke("migrate_one", "same", "dev")
    assert "it had run there before" in project.invoke("verify_migration", "same", "dev").out


def test_a_team_tests_its_migrations_with_pytest(project: Folder, tmp_path: Path) -> None:
    project.migration("seed", "self.database.users.insert_one({'_id': 1})")
    project.migration("lower", "self.database.users.update_many({}, {'$set': {'name': 'ann'}})")
    project.write(
        "test_theirs.py",
        """
        def test_all(monarch_migrated):
            assert monarch_migrated.users.find_one() == {'_id': 1, 'name': 'ann'}

        def test_step_by_step(monarch_scratch):
            monarch_scratch.migrate(to='seed')
            assert monarch_scratch.database.users.find_one() == {'_id': 1}
            done = monarch_scratch.migrate_one('lower')
            assert done.documents == 1
        """,
    )
    project.write("pytest.ini", "[pytest]\nmonarch_environment = dev\n")
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(pytest_, cwd=project.path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout
    assert project.database.list_collection_names() == []
    project.write("pytest.ini", "[pytest]\nmonarch_environment = devv\n")
    result = subprocess.run(pytest_, cwd=project.path, capture_output=True, text=True, check=False)
    assert "There is no environment 'devv' in migrations/settings.py. Did you mean 'dev'?" in result.stdout
    assert "monarch.errors" not in result.stdout
    project.write("pytest.ini", "[pytest]\nmonarch_environment = production\n")
    result = subprocess.run(pytest_, cwd=project.path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "'production' is hazardous, and must not be used for tests" in result.stdout


@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_terminal_is_asked_before_all_run_again(project: Folder, answer: str) -> None:
    project.migration("one", INSERT)
    project.monarch("migrate", "dev")
    terminal = project.terminal("mark", "dev", "--all", "--as", "new")
    terminal.expect("would be marked")
    terminal.expect("are you SURE")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == (0 if answer == "y" else 1)
    assert set(project.states().values()) == {"New" if answer == "y" else "Completed"}
    assert project.monarch("mark", "dev", "--all", "--as", "completed").code == 0
