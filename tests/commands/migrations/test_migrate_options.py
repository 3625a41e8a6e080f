"""The options of ``migrate``: what runs, how long, and how it is reported."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from bson import ObjectId

from tests.support.runs.shell import CommandResult, Folder
from tests.support.runs.two_environments import entry
from tests.support.servers.mongod import Server

INSERT = "self.database.ran.insert_one({'by': type(self).__name__})"


def ran_by(project: Folder) -> list[str]:
    return [row["by"].removesuffix("Migration") for row in project.database.ran.find(sort=[("_id", 1)])]


def events(result: CommandResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.out.splitlines()]


def test_to_and_only_and_the_plan_of_both(project: Folder) -> None:
    keys = [project.migration(name, INSERT) for name in ("one", "two", "three")]
    plan = project.invoke("migrate", "dev", "--plan", "--to", "two")
    assert plan.code == 0
    assert "2 migrations would run on dev, in this order." in plan.out
    listed = project.invoke("migrate", "dev", "--plan", "--only", "three", "--only", "one", "--json").json
    assert [row["key"] for row in listed] == [keys[0], keys[2]]
    assert listed[0] == {
        "key": keys[0],
        "file": f"migrations/{keys[0]}.py",
        "why": "new",
        "state": "New",
        "late": False,
        "repeatable": False,
        "can_roll_back": False,
        "environment": "dev",
        "database": project.db_name,
        "server": project.server.host if project.server else None,
    }
    assert project.database.list_collection_names() == []
    assert "1 migration left to run." in project.invoke("migrate", "dev", "--to", "two").out
    assert ran_by(project) == ["One", "Two"]
    again = project.invoke("migrate", "dev", "--only", "one")
    assert (again.code, again.out) == (
        0,
        f"None of the selected migrations is pending. Not done yet on dev: {keys[2]}\n",
    )
    assert project.invoke("migrate", "dev", "--only", "three").code == 0
    assert ran_by(project) == ["One", "Two", "Three"]
    wrong = project.invoke("migrate", "dev", "--to", "for")
    assert wrong.code == 2
    assert "There is no migration 'for'" in wrong.err


def test_a_plan_needs_only_read_rights(project: Folder) -> None:
    assert project.server is not None
    project.migration("one", INSERT)
    project.invoke("migrate", "dev")
    project.migration("two", INSERT)
    project.database.command("createUser", "reader", pwd="reader-hush", roles=["read"])
    reader = {"host": project.server.host, "db_name": project.db_name}
    project.settings(dev={**reader, "username": "reader", "password": "reader-hush"})
    before = list(project.database.mongo_migration_journal.find())
    for command in (
        ["migrate", "dev", "--plan"],
        ["check", "dev"],
        ["history", "dev"],
        ["list_migrations", "dev", "--json"],
        ["list_migrations", "--all"],
    ):
        result = project.invoke(*command)
        assert result.code == (3 if command[0] == "check" else 0), result.output
        assert "_migration" in result.out
    assert list(project.database.mongo_migration_journal.find()) == before
    refused = project.invoke("migrate", "dev")
    assert refused.code == 5
    assert "not authorized" in refused.err
    project.database.command("dropUser", "reader")


def test_a_late_migration_is_shown_runs_and_is_refused_by_strict_order(project: Folder) -> None:
    project.migration("new", INSERT, stamp="201502020000")
    project.invoke("migrate", "dev")
    late = project.migration("late", INSERT, stamp="201401010000")
    assert re.search(rf"{late} +New, late", project.invoke("list_migrations", "dev").out)
    assert re.search(rf"{late} +late: older", project.invoke("migrate", "dev", "--plan").out)
    for plan in ((), ("--plan",)):
        result = project.invoke("migrate", "dev", "--strict-order", *plan)
        assert result.code == 1
        assert f"the order is strict: {late}" in result.err
    assert ran_by(project) == ["New"]
    assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["New", "Late"]


class LateClock:
    """The module ``time`` for the executor: each migration takes an hour."""

    def __init__(self, project: Folder) -> None:
        self._project = project

    def monotonic(self) -> float:
        return time.monotonic() + (3600 if ran_by(self._project) else 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def test_a_deadline_stops_between_two_migrations(project: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        project.migration(name, INSERT)
    with monkeypatch.context() as patched:
        patched.setattr("monarch.migrations.executor.time", LateClock(project))
        result = project.invoke("migrate", "dev", "--deadline", "10m", "--json")
    assert result.code == 9
    assert "The deadline was reached: " in result.err
    assert "monarch migrate dev" in result.err
    summary = events(result)[-1]
    assert (summary["event"], summary["ok"], summary["exit_code"]) == ("summary", False, 9)
    assert (len(summary["done"]), len(summary["not_reached"])) == (1, 2)
    assert set(project.states().values()) == {"Completed"}
    assert project.invoke("migrate", "dev", "--deadline", "10m").code == 0
    assert ran_by(project) == ["One", "Two", "Three"]
    for wrong in ("soon", "10x", "-1", ""):
        result = project.invoke("migrate", "dev", "--deadline", wrong)
        assert result.code == 2
        assert "Traceback" not in result.err


def test_json_has_one_line_per_event_and_a_summary(project: Folder) -> None:
    one = project.migration("one", "echo('hello')\nprint('from one')\n" + INSERT)
    two = project.migration("two", "echo('half')\nraise ValueError('no')")
    three = project.migration("three", INSERT)
    result = project.invoke("migrate", "dev", "--json")
    assert result.code == 1
    reported = events(result)
    assert [event["event"] for event in reported] == [
        *("planned", "started", "finished", "started", "failed", "summary")
    ]
    assert reported[0]["migrations"] == [one, two, three]
    assert reported[2]["echoed"] == "hello\nfrom one\n"
    assert reported[2]["documents"] == 1
    summary = reported[-1]
    assert (summary["done"], summary["failed"], summary["not_reached"]) == ([one], two, [three])
    assert f"{two}.py, line 7" in summary["error"]
    assert "--retry" in summary["hint"]
    assert "hello" in result.err


def test_json_ends_with_a_summary_after_any_error(project: Folder, tmp_path: Path) -> None:
    nothing = events(project.invoke("migrate", "dev", "--json"))
    assert [event["event"] for event in nothing] == ["summary"]
    assert nothing[0]["ok"]
    project.migration("one")
    for command, code in ((["nowhere"], 2), (["dev", "--to", "two"], 2)):
        result = project.invoke("migrate", *command, "--json")
        assert result.code == code
        assert events(result)[-1]["exit_code"] == code
    unwritable = project.invoke("migrate", "dev", "--junit", str(tmp_path / "none" / "x.xml"))
    assert unwritable.code == 2
    assert "cannot be written" in unwritable.err
    assert project.states() == {}


@pytest.mark.parametrize(
    ("raised", "code"), [("RuntimeError('odd')", 1), ("SystemExit(0)", 1), ("KeyboardInterrupt()", 130)]
)
def test_json_ends_with_a_summary_after_any_error_of_a_hook(project: Folder, raised: str, code: int) -> None:
    project.migration("one")
    hooks(project, f"\ndef before_migrate(_): raise {raised}\n")
    result = project.invoke("migrate", "dev", "--json")
    assert result.code == code
    assert "Traceback" not in result.err
    summary = events(result)[-1]
    assert (summary["event"], summary["ok"], summary["exit_code"]) == ("summary", False, code)
    assert project.states() == {}


def test_junit_has_a_case_for_each_migration(project: Folder) -> None:
    one = project.migration("one", "echo('hello \\x07 there')")
    two = project.migration("two", "raise ValueError('<no> & no')")
    three = project.migration("three")
    assert project.invoke("migrate", "dev", "--junit", "out.xml").code == 1
    (suite,) = ElementTree.parse(project.path / "out.xml").getroot()
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    assert [case.get("name") for case in suite] == [one, two, three]
    printed, failure, skipped = (case[0] for case in suite)
    assert printed.text == "hello  there\n"
    assert "ValueError: <no> & no" in str(failure.get("message"))
    assert skipped.tag == "skipped"
    project.settings(dev={"host": "127.0.0.1:9", "db_name": "x", "serverSelectionTimeoutMS": 200})
    assert project.invoke("migrate", "dev", "--junit", "out.xml").code == 5
    (suite,) = ElementTree.parse(project.path / "out.xml").getroot()
    assert [case.get("name") for case in suite] == ["migrate dev"]


def test_ci_gets_annotations_and_a_summary(project: Folder) -> None:
    project.migration("one", INSERT)
    two = project.migration("two", "raise ValueError('100 % no')")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(project.path / "summary.md")}
    result = project.monarch("migrate", "dev", variables=github)
    assert (
        f"::error file=migrations/{two}.py,line=6::{two} failed on 'dev': ValueError: 100 %25 no"
        in result.err
    )
    summary = (project.path / "summary.md").read_text()
    assert "### monarch migrate dev" in summary
    assert f"| {two} | **failed** |" in summary
    above = {**github, "GITHUB_WORKSPACE": str(project.path.parent)}
    result = project.monarch("migrate", "dev", "--retry", variables=above)
    assert f"::error file={project.path.name}/migrations/{two}.py,line=6::" in result.err
    azure = project.monarch("migrate", "dev", "--retry", variables={"TF_BUILD": "True"})
    assert f"##vso[task.logissue type=error;sourcepath=migrations/{two}.py;linenumber=6;]" in azure.err
    assert "::error" not in project.invoke("migrate", "dev", "--retry").err


def test_the_origin_is_recorded(project: Folder) -> None:
    commit = "c0ffee" * 6 + "c0ff"
    project.write(".git/HEAD", "ref: refs/heads/main\n")
    project.write(".git/refs/heads/main", f"{commit}\n")
    key = project.migration("one", "echo('hello')\n" + INSERT)
    job = {"CI_JOB_NAME": "deploy", "CI_JOB_URL": "https://ci.example.com/jobs/7"}
    assert project.monarch("migrate", "dev", variables=job).code == 0
    (entry,) = project.invoke("history", "dev", "--json").json
    assert (entry["key"], entry["action"], entry["outcome"]) == (key, "run", "Completed")
    assert (entry["commit"], entry["job"], entry["link"]) == (
        commit,
        "deploy",
        "https://ci.example.com/jobs/7",
    )
    assert (entry["documents"], entry["echoed"]) == (1, "hello\n")
    assert entry["started_at"] <= entry["finished_at"]
    assert len(entry["checksum"]) == 64
    shown = project.invoke("history", "dev", "one").out
    assert commit in shown
    assert "https://ci.example.com/jobs/7" in shown
    assert "    hello" in shown


def test_a_secret_that_a_migration_echoes_is_not_recorded(project: Folder) -> None:
    assert project.server is not None
    project.migration("tells", "echo(self.uri)")
    assert project.invoke("migrate", "dev").code == 0
    (attempt,) = project.database.mongo_migration_journal.find()
    assert "********" in attempt["echoed"]
    assert str(project.server.password) not in str(attempt)


def test_a_backup_is_created_verified_and_named_on_failure(project: Folder) -> None:
    project.keep_backups()
    project.database.users.insert_one({"_id": 1})
    key = project.migration("wrecks", "self.database.users.drop()\nraise ValueError('no')")
    result = project.invoke("migrate", "dev", "--backup")
    assert result.code == 1
    (backup,) = project.invoke("list_backups", "--json").json
    way_back = f"monarch restore {backup['name']}:dev"
    assert f"backed up as {backup['name']}, and verified" in result.err
    assert way_back in result.err
    # Later runs and the history name it, too.
    assert way_back in project.invoke("migrate", "dev").err
    assert project.invoke("history", "dev", "--json").json[0]["backup"] == backup["name"]
    assert project.invoke(*way_back.split()[1:], "--yes").code == 0
    assert project.database.users.count_documents({}) == 1
    assert key not in project.states()
    # Nothing to do, nothing to back up.
    project.invoke("mark", "dev", "wrecks", "--as", "completed")
    assert project.invoke("migrate", "dev", "--backup").code == 0
    assert len(project.invoke("list_backups", "--json").json) == 1


def test_a_backup_without_a_store_is_refused_first(project: Folder) -> None:
    project.migration("one", INSERT)
    result = project.invoke("migrate", "dev", "--backup")
    assert result.code == 2
    assert "BACKUPS" in result.err
    assert project.states() == {}


def test_a_failed_backup_stops_the_run(project: Folder) -> None:
    project.keep_backups()
    project.write("backups", "a file in the way")
    project.database.users.insert_one({"_id": 1})
    project.migration("one", INSERT)
    result = project.invoke("migrate", "dev", "--backup")
    assert result.code in (2, 5), result.output
    assert project.states() == {}


def test_contradictory_options_for_waiting_are_refused(project: Folder) -> None:
    assert project.invoke("migrate", "dev", "--wait", "1s", "--no-wait").code == 2


def test_a_transaction_needs_a_server_that_has_them(project: Folder) -> None:
    project.migration("first", INSERT)
    key = project.migration("all", INSERT)
    path = project.path / "migrations" / f"{key}.py"
    path.write_text(path.read_text().replace("    def run", "    transaction = True\n    def run"))
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert f"{key} needs a transaction, but the server of 'dev' has none" in result.err
    assert project.states() == {}
    assert ran_by(project) == []


@pytest.fixture
def replicated(tmp_path: Path, replica_set: Server) -> Folder:
    folder = Folder(tmp_path, replica_set)
    folder.settings(dev={**entry(replica_set, f"t_{ObjectId()}"), "db_name": folder.db_name})
    return folder


def test_a_transaction_is_all_or_nothing(replicated: Folder) -> None:
    body = "self.database.ran.insert_one({'by': 'All'}, session=self.session)\nraise ValueError('no')"
    key = replicated.migration("all", body)
    path = replicated.path / "migrations" / f"{key}.py"
    text = path.read_text().replace("    def run", "    transaction = True\n    def run")
    path.write_text(text)
    assert replicated.invoke("migrate", "dev").code == 1
    assert replicated.database.ran.count_documents({}) == 0
    assert replicated.states() == {key: "Failed"}
    path.write_text(text.replace("raise ValueError('no')", "pass"))
    assert replicated.invoke("migrate", "dev", "--retry").code == 0
    assert replicated.database.ran.count_documents({}) == 1
    assert replicated.states() == {key: "Completed"}


def test_a_conflict_at_the_commit_is_reported_as_nothing_done(replicated: Folder) -> None:
    """Another client changes the record during the transaction, as a run that has taken over would."""
    body = """
    self.database.ran.insert_one({'by': 'All'}, session=self.session)
    self.database.mongo_migration_history.update_one({}, {'$currentDate': {'processed_at': True}})
    """
    key = replicated.migration("all", body)
    path = replicated.path / "migrations" / f"{key}.py"
    path.write_text(path.read_text().replace("    def run", "    transaction = True\n    def run"))
    result = replicated.invoke("migrate", "dev")
    assert result.code == 1
    assert f"{key} could not be committed on 'dev', and was undone" in result.err
    assert replicated.database.ran.count_documents({}) == 0
    assert replicated.states() == {key: "Failed"}


def test_a_changed_repeatable_migration_runs_again_after_the_others(project: Folder) -> None:
    views = project.migration("views", INSERT)
    path = project.path / "migrations" / f"{views}.py"
    path.write_text(path.read_text().replace("    def run", "    repeatable = True\n    def run"))
    project.migration("one", INSERT)
    project.invoke("migrate", "dev")
    assert ran_by(project) == ["One", "Views"]
    assert project.invoke("migrate", "dev").out.startswith("Nothing to do")
    path.write_text(path.read_text() + "# changed\n")
    assert project.invoke("check", "dev").code == 3
    assert re.search(rf"{views} +Completed, file changed", project.invoke("list_migrations", "dev").out)
    project.migration("two", INSERT)
    assert "again: repeatable" in project.invoke("migrate", "dev", "--plan").out
    assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["One", "Views", "Two", "Views"]
    assert project.invoke("check", "dev").code == 0


def test_each_resumes_where_it_was_interrupted(project: Folder) -> None:
    project.database.docs.insert_many([{"_id": n, "seen": 0} for n in range(25)])
    body = """
    for doc in self.each('docs', {'seen': {'$lt': 9}}, batch=10):
        if doc['_id'] == 17 and not self.database.second.find_one():
            self.database.second.insert_one({})
            raise ValueError('a bad one')
        self.database.docs.update_one({'_id': doc['_id']}, {'$inc': {'seen': 1}})
    """
    project.migration("scan", body)
    assert project.invoke("migrate", "dev").code == 1
    result = project.invoke("migrate", "dev", "--retry")
    assert result.code == 0
    assert "docs: continuing after the first 10 documents" in result.err
    seen = [doc["seen"] for doc in project.database.docs.find(sort=[("_id", 1)])]
    assert seen == [1] * 10 + [2] * 7 + [1] * 8


def test_each_starts_again_if_the_file_has_changed(project: Folder) -> None:
    project.database.docs.insert_many([{"_id": n} for n in range(25)])
    body = """
    for doc in self.each('docs', batch=10):
        self.database.seen.insert_one({'doc': doc['_id']})
        if doc['_id'] == 17:
            raise ValueError('a bad one')
    """
    key = project.migration("scan", body)
    assert project.invoke("migrate", "dev").code == 1
    project.migration("scan", body.replace("== 17", "== 99"), stamp=key[1:13])
    assert project.invoke("migrate", "dev", "--retry").code == 0
    assert project.database.seen.count_documents({}) == 18 + 25


def test_each_with_an_invalid_batch_is_an_error(project: Folder) -> None:
    project.migration("scan", "list(self.each('docs', batch=0))")
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert "batch=0 is not a number of documents" in result.err


HOOKS = """
def note(name, *what):
    with open("hooks.txt", "a") as file:
        print(name, *what, file=file)

def before_migrate(context):
    note("before", context.environment.name, *context.migrations)

def after_migrate(context, result):
    note("after", *[done.key for done in result.done])

def on_failure(context, error):
    note("failure", error)
"""


def hooks(project: Folder, more: str = "") -> None:
    with (project.path / "migrations/settings.py").open("a") as settings:
        settings.write(HOOKS + more)


def hooked(project: Folder) -> list[str]:
    path = project.path / "hooks.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_hooks_are_called_around_a_run(project: Folder) -> None:
    hooks(project)
    assert project.invoke("migrate", "dev").code == 0
    assert hooked(project) == []
    one = project.migration("one")
    assert project.invoke("migrate", "dev").code == 0
    assert hooked(project) == [f"before dev {one}", f"after {one}"]
    two = project.migration("two", "raise ValueError('no')")
    assert project.invoke("migrate", "dev").code == 1
    before, failure = hooked(project)
    assert before == f"before dev {two}"
    assert failure.startswith(f"failure {two} failed on 'dev': ValueError: no")
    assert project.invoke("migrate_one", "one", "dev").code == 0
    assert hooked(project) == [f"before dev {one}", f"after {one}"]


def test_a_hook_that_raises_stops_the_run_before_it_begins(project: Folder) -> None:
    hooks(project, "\ndef before_migrate(context):\n    raise RuntimeError('workers run on')\n")
    project.migration("one", INSERT)
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert "before_migrate() failed: RuntimeError: workers run on. Nothing has run." in result.err
    assert project.states() == {}
    assert hooked(project)[0].startswith("failure before_migrate() failed")


def test_an_error_of_the_last_hook_is_reported_with_the_completed_migrations(project: Folder) -> None:
    hooks(project, "\ndef after_migrate(*_):\n    raise RuntimeError('no chat')\n")
    hooks(project, "\ndef after_migrate(*_):\n    1/0\ndef on_failure(*_):\n    raise KeyError('x')\n")
    key = project.migration("one", INSERT)
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert (
        "after_migrate() failed: ZeroDivisionError: division by zero. All migrations are done" in result.err
    )
    assert "Note: on_failure() failed: KeyError: 'x'" in result.err
    assert project.states() == {key: "Completed"}


def test_an_invalid_hook_is_refused(project: Folder) -> None:
    hooks(project, "\nbefore_migrate = 'me'\n")
    result = project.invoke("migrate", "dev")
    assert result.code == 2
    assert "before_migrate in migrations/settings.py is not a function." in result.err


def test_a_bar_shows_the_progress_of_a_scan(project: Folder) -> None:
    project.database.docs.insert_many([{"_id": n} for n in range(30)])
    project.migration("scan", "import time\nfor doc in self.each('docs', batch=5): time.sleep(0.05)")
    terminal = project.terminal("migrate", "dev", columns=60)
    terminal.expect(r"\[#+-+\] +\d+%  docs: \d+ of 30 documents")
    terminal.expect("That felt natural")


def test_an_empty_database_is_reported_with_databases_that_are_not_empty(project: Folder) -> None:
    assert project.server is not None
    project.database.users.insert_one({})
    project.settings(dev={"uri": project.server.uri, "db_name": project.db_name + "x"})
    project.migration("one")
    result = project.monarch("migrate", "dev")
    try:
        assert result.code == 0
        assert f"Note: the database {project.db_name}x of dev is empty. Its server also has: " in result.err
        assert project.monarch("migrate", "dev").err == ""
    finally:
        project.database.client.drop_database(project.db_name + "x")


def test_a_long_history_is_read_with_little_memory_for_sorts(project: Folder) -> None:
    """Servers before 6.0 do not use the disk for sorts by default."""
    project.migration("one")
    rows = [{"key": f"_2014052900{n:04}_m_migration", "state": "Completed"} for n in range(3000)]
    project.database.mongo_migration_history.insert_many(rows)
    failed = {"outcome": "Failed", "started_at": datetime(2014, 5, 29), "error": "x" * 500}
    entries = [{**row, **failed} for row in rows]
    project.database.mongo_migration_journal.insert_many(entries)
    admin = project.database.client.admin
    before = {
        name: admin.command({"getParameter": 1, name: 1})[name]
        for name in ("allowDiskUseByDefault", "internalQueryMaxBlockingSortMemoryUsageBytes")
    }
    try:
        little = {"internalQueryMaxBlockingSortMemoryUsageBytes": 200_000}
        admin.command({"setParameter": 1, "allowDiskUseByDefault": False, **little})
        for command in (["list_migrations", "dev"], ["check", "dev"], ["history", "dev"]):
            result = project.invoke(*command)
            assert "memory" not in result.err
            assert result.code != 5
    finally:
        admin.command({"setParameter": 1, **before})
