"""Unusual things that a migration may do, and unusual contents of its history."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from tests.commands.migrations.test_migrate import await_line
from tests.commands.migrations.test_migrate_options import INSERT, events, hooks, ran_by
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import entry
from tests.support.servers.mongod import Server

CRASH = """
if not self.database.crashed.find_one():
    self.database.crashed.insert_one({})
    raise ValueError('once')
"""


def change(project: Folder, key: str, old: str, new: str) -> None:
    path = project.path / "migrations" / f"{key}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def repeatable(project: Folder, key: str, how: str = "repeatable = True") -> None:
    change(project, key, "    def run", f"    {how}\n    def run")


@pytest.fixture
def replicated(tmp_path: Path, replica_set: Server) -> Folder:
    folder = Folder(tmp_path, replica_set)
    folder.settings(dev={**entry(replica_set, f"t_{ObjectId()}"), "db_name": folder.db_name})
    return folder


def transactional(project: Folder, body: str) -> str:
    key = project.migration("all", body)
    change(project, key, "    def run", "    transaction = True\n    def run")
    return key


# Repeatable migrations


def test_a_migration_that_stops_being_repeatable_runs_once_more(project: Folder) -> None:
    key = project.migration("views", INSERT)
    repeatable(project, key)
    project.invoke("migrate", "dev")
    change(project, key, "    repeatable = True\n", "")
    for _ in range(3):
        assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["Views", "Views"]
    assert project.invoke("check", "dev").code == 0


@pytest.mark.parametrize("how", ["repeatable = True", "repeatable: bool = True"])
@pytest.mark.parametrize("words", [["--accept-edit"], ["--as", "completed"]])
def test_a_migration_that_becomes_repeatable_runs_again_after_the_edit_is_accepted(
    project: Folder, words: list[str], how: str
) -> None:
    key = project.migration("views", INSERT)
    project.invoke("migrate", "dev")
    repeatable(project, key, how)
    assert project.invoke("check", "dev").code == 7
    assert project.invoke("mark", "dev", "views", *words).code == 0
    assert project.invoke("check", "dev").code == 0
    change(project, key, "    def run", "    # another\n    def run")
    assert project.invoke("check", "dev").code == 3
    assert project.invoke("mark", "dev", "views", *words).code == 0
    assert project.invoke("check", "dev").code == 0


# Transactions


@pytest.mark.parametrize("end", ["abort_transaction", "commit_transaction", "end_session"])
def test_a_transaction_that_the_migration_ends_itself_is_not_completed(replicated: Folder, end: str) -> None:
    key = transactional(
        replicated, f"self.database.x.insert_one({{}}, session=self.session)\nself.session.{end}()"
    )
    result = replicated.invoke("migrate", "dev")
    assert result.code == 1
    assert "it has ended its transaction itself" in result.err
    assert replicated.states() == {key: "Failed"}


def test_collections_and_indexes_can_be_created_in_a_transaction(replicated: Folder) -> None:
    transactional(
        replicated,
        """
        self.database.create_collection('made', session=self.session)
        self.database.made.create_index('n', session=self.session)
        self.database.made.insert_one({'n': 1}, session=self.session)
        """,
    )
    result = replicated.invoke("migrate", "dev")
    assert result.code == 0, result.output
    assert replicated.database.made.index_information().keys() == {"_id_", "n_1"}


# Scans


def test_two_scans_of_one_collection_are_distinguished(project: Folder) -> None:
    project.database.users.insert_many([{"_id": n} for n in range(40)])
    body = f"""
    if not self.database.crashed.find_one():
        for user in self.each('users', batch=10):
            self.database.users.update_one({{'_id': user['_id']}}, {{'$set': {{'a': 1}}}})
        {CRASH.strip().splitlines()[1].strip()}
        raise ValueError('once')
    for user in self.each('users', batch=10):
        self.database.users.update_one({{'_id': user['_id']}}, {{'$set': {{'b': 1}}}})
    """
    project.migration("scan", body)
    assert project.invoke("migrate", "dev").code == 1
    assert project.invoke("migrate", "dev", "--retry").code == 0
    assert project.database.users.count_documents({"a": 1, "b": 1}) == 40


def test_a_scan_within_a_scan_starts_again(project: Folder) -> None:
    project.database.users.insert_many([{"_id": n} for n in range(30)])
    project.database.tags.insert_many([{"_id": n} for n in range(3)])
    body = """
    for user in self.each('users', batch=10):
        for tag in self.each('tags', batch=2):
            pair = {'user': user['_id'], 'tag': tag['_id']}
            self.database.pairs.replace_one(pair, pair, upsert=True)
        if user['_id'] == 15 and not self.database.crashed.find_one():
            self.database.crashed.insert_one({})
            raise ValueError('once')
    """
    project.migration("scan", body)
    assert project.invoke("migrate", "dev").code == 1
    attempt = project.database.mongo_migration_journal.find_one()
    assert attempt is not None
    assert [place["documents"] for place in attempt["places"].values()] == [10]
    assert project.invoke("migrate", "dev", "--retry").code == 0
    assert project.database.pairs.count_documents({}) == 90


def test_batches_for_bulk_writes(project: Folder) -> None:
    project.database.docs.insert_many([{"_id": n} for n in range(25)])
    body = (
        """
    from pymongo import UpdateOne
    for docs in self.batches('docs', batch=10):
        if docs[0]['_id'] == 10:
"""
        + "\n".join(f"            {line}" for line in CRASH.strip().splitlines())
        + """
        self.database.docs.bulk_write([UpdateOne({'_id': d['_id']}, {'$inc': {'n': 1}}) for d in docs])
    """
    )
    project.migration("scan", body)
    assert project.invoke("migrate", "dev").code == 1
    assert project.invoke("migrate", "dev", "--retry").code == 0
    assert project.database.docs.count_documents({"n": 1}) == 25


@pytest.mark.parametrize("kind", ["view", "timeseries"])
def test_a_collection_without_an_order_cannot_be_scanned(project: Folder, kind: str) -> None:
    how: dict[str, Any] = {"viewOn": "orders"} if kind == "view" else {"timeseries": {"timeField": "at"}}
    project.database.create_collection("v", **how)
    project.migration("scan", "for _ in self.each('v'): pass")
    result = project.invoke("migrate", "dev")
    assert result.code == 1
    assert f"failed on 'dev': 'v' is a {kind}, and each() goes by the _id" in result.err
    assert "Hint: Use self.database['v'].find() instead. Fix it, then run" in result.err


def test_a_missing_collection_is_reported(project: Folder) -> None:
    project.migration("scan", "assert list(self.each('usres')) == []")
    result = project.invoke("migrate", "dev")
    assert result.code == 0
    assert "usres: there is no such collection" in result.err


# Order and names


def test_a_renamed_migration_does_not_run_again(project: Folder) -> None:
    old = project.migration("one", INSERT)
    project.invoke("migrate", "dev")
    new = old.replace("0000_one", "0500_one")
    (project.path / "migrations" / f"{old}.py").rename(project.path / "migrations" / f"{new}.py")
    result = project.invoke("migrate", "dev")
    assert result.code == 2
    assert f"{new} has the name of {old}, which has run on 'dev' and is not here" in result.err
    command = f"mark dev {new} --as completed"
    assert f"`monarch {command}`" in result.err
    assert project.invoke(*command.split()).code == 0
    assert project.invoke("migrate", "dev").code == 0
    assert ran_by(project) == ["One"]


def test_a_late_migration_that_failed_is_still_late(project: Folder) -> None:
    project.migration("new", INSERT, stamp="201502020000")
    project.invoke("migrate", "dev")
    project.migration("late", "raise ValueError", stamp="201401010000")
    project.invoke("migrate", "dev")
    result = project.invoke("migrate", "dev", "--retry", "--strict-order")
    assert result.code == 1
    assert "the order is strict" in result.err


def test_the_suggested_backup_is_from_before_the_first_attempt(project: Folder) -> None:
    project.keep_backups()
    project.database.x.insert_one({"_id": 1, "n": 0})
    project.migration("half", "self.database.x.update_one({}, {'$inc': {'n': 1}})\nraise ValueError('no')")
    first = project.invoke("migrate", "dev", "--backup", "--json")
    (backup,) = project.invoke("list_backups", "--json").json
    assert events(first)[-1]["backup"] == backup["name"]
    for words in (["migrate", "dev", "--retry", "--backup"], ["migrate_one", "half", "dev"]):
        result = project.invoke(*words)
        assert result.code == 1
        assert f"monarch restore {backup['name']}:dev" in result.err
    assert project.invoke("restore", f"{backup['name']}:dev", "--yes").code == 0
    assert project.database.x.find_one() == {"_id": 1, "n": 0}


def test_no_backup_of_a_later_attempt_is_suggested(project: Folder) -> None:
    """It holds what the first attempt has changed."""
    project.keep_backups()
    project.database.x.insert_one({"_id": 1, "n": 0})
    project.migration("half", "self.database.x.update_one({}, {'$inc': {'n': 1}})\nraise ValueError('no')")
    assert project.invoke("migrate", "dev").code == 1
    result = project.invoke("migrate", "dev", "--retry", "--backup")
    assert result.code == 1
    assert "To undo everything" not in result.err
    assert project.invoke("history", "dev", "--json").json[0]["backup"] is None


def test_a_scan_whose_filter_changes_starts_anew_and_says_so(project: Folder) -> None:
    project.database.c.insert_many({"_id": n, "at": datetime(2014, 5, 29)} for n in range(12))
    body = """
    from datetime import datetime
    for documents in self.batches('c', {'at': {'$lt': datetime.now()}}, batch=4):
        if self.database.go.find_one() is None and documents[0]['_id'] == 8:
            raise ValueError('no')
    for documents in self.batches('c', {'_id': 0}):
        pass
    """
    project.migration("one", body)
    assert project.invoke("migrate", "dev").code == 1
    project.database.go.insert_one({})
    result = project.invoke("migrate", "dev", "--retry")
    assert result.code == 0
    assert result.err.count("c: starting anew, because the line or the filter of the scan has changed") == 1


def test_a_deadline_also_limits_the_wait(project: Folder) -> None:
    project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    process = project.start("migrate", "dev")
    await_line(process, "working")
    result = project.invoke("migrate", "dev", "--deadline", "1s")
    assert result.code == 9
    assert "The deadline was reached: 'dev' is held by process" in result.err
    process.kill()
    process.communicate()


# Rollbacks


def test_an_unfinished_rollback_must_be_finished_first(project: Folder) -> None:
    keys = []
    for name in ("one", "two"):
        keys.append(project.migration(name, INSERT))
        path = project.path / "migrations" / f"{keys[-1]}.py"
        path.write_text(path.read_text() + "\n    def rollback(self):\n        raise ValueError('no')\n")
    project.invoke("migrate", "dev")
    assert project.invoke("rollback", "dev").code == 1
    for words in (["rollback", "dev", "one"], ["migrate", "dev"], ["migrate", "dev", "--retry"]):
        result = project.invoke(*words)
        assert result.code == 1
        assert f"{keys[1]} failed on 'dev'" in result.err
        assert f"`monarch rollback dev {keys[1]}`" in result.err
    assert ran_by(project) == ["One", "Two"]


def test_a_failed_migration_whose_file_is_gone_can_be_marked(project: Folder) -> None:
    key = project.migration("one", "raise ValueError('no')")
    project.invoke("migrate", "dev")
    (project.path / "migrations" / f"{key}.py").unlink()
    project.migration("two", INSERT, stamp="201501010000")
    for words in (["migrate", "dev"], ["migrate", "dev", "--only", "two"], ["rollback", "dev"]):
        result = project.invoke(*words)
        assert result.code == 1
        assert f"`monarch mark dev {key} --as new`" in result.err
    # By its name, too.
    assert project.invoke("mark", "dev", "one", "--as", "new").code == 0
    result = project.invoke("migrate", "dev")
    assert (result.code, result.err) == (0, "")
    assert key not in project.invoke("list_migrations", "dev").out
    assert ran_by(project) == ["Two"]


def test_check_reports_edits_next_to_a_failure_and_accepts_all_of_them(project: Folder) -> None:
    one, gone = project.migration("one", INSERT), project.migration("gone")
    project.invoke("migrate", "dev")
    change(project, one, "insert_one", "insert_many")
    (project.path / "migrations" / f"{gone}.py").unlink()
    project.migration("two", "raise ValueError('no')", stamp="201501010000")
    project.invoke("migrate", "dev")
    verdict = project.invoke("check", "dev", "--json").json
    assert (verdict["exit_code"], verdict["edited"], verdict["gone"]) == (6, [one], [gone])
    result = project.invoke("mark", "dev", "--accept-edit", "--all")
    assert result.code == 0, result.output
    verdict = project.invoke("check", "dev", "--json").json
    assert (verdict["edited"], verdict["gone"]) == ([], [])


# Processes and streams


def test_a_fork_does_not_continue_as_monarch(project: Folder) -> None:
    project.migration("forks", "import os\nif os.fork() == 0:\n    self.client.close()")
    project.migration("behind", INSERT)
    assert project.monarch("migrate", "dev").code == 0
    assert ran_by(project) == ["Behind"]
    attempts = project.database.mongo_migration_journal.count_documents({})
    assert attempts == 2


def test_a_migration_that_raises_an_error_of_the_lease_has_failed(project: Folder) -> None:
    key = project.migration("nested", "from monarch.errors import LockedError\nraise LockedError('by me')")
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "by me" in result.err
    assert project.states() == {key: "Failed"}


def test_printed_secrets_are_not_in_files_for_ci(project: Folder) -> None:
    assert project.server is not None
    project.migration(
        "tells", "echo('-' * 19_990)\necho(self.uri)\necho('-' * 50_000)\necho(self.uri)\nprint('x')"
    )
    result = project.monarch("migrate", "dev", "--junit", "out.xml", "--json")
    assert result.code == 0
    (attempt,) = project.database.mongo_migration_journal.find()
    kept = (project.path / "out.xml").read_text() + result.out + json.dumps(attempt["echoed"])
    secret = project.server.uri.partition("//")[2].partition("@")[0].partition(":")[2]
    for piece in (secret, secret[:8], secret[-8:]):
        assert piece not in kept


def test_standard_output_has_only_json(project: Folder) -> None:
    body = "import os, subprocess\nos.write(1, b'raw')\nsubprocess.run(['echo', 'from a program'])\n"
    body += "echo('hello')"
    key = project.migration("prints", body)
    change(project, key, "from monarch", "print('when it is loaded')\nfrom monarch")
    assert len(project.monarch("migrate", "dev", "--plan", "--json").json) == 1
    result = project.monarch("migrate", "dev", "--json")
    assert [event["event"] for event in events(result)] == ["planned", "started", "finished", "summary"]
    for text in ("raw", "from a program", "hello", "when it is loaded"):
        assert text in result.err
    assert project.monarch("verify_migration", "prints", "dev", "--json").json["idempotent"]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_an_error_that_the_terminal_cannot_encode_is_reported(project: Folder, encoding: str) -> None:
    project.migration("odd", "raise ValueError('caf\\u00e9 \\udcff \\x1b]0;title\\x07')")
    summary = project.path / "summary.md"
    how = {"PYTHONIOENCODING": encoding, "GITHUB_STEP_SUMMARY": str(summary)}
    for words in (["migrate", "dev", "--json"], ["migrate", "dev", "--retry"]):
        result = project.monarch(*words, variables=how)
        assert result.code == 1
        assert "failed on 'dev': ValueError: caf" in result.err
        assert "defect" not in result.err
        assert "\x1b" not in result.err
        if "--json" in words:
            assert events(result)[-1]["exit_code"] == 1
    assert "caf\u00e9" in summary.read_text()


def test_a_migration_that_changes_the_directory_does_not_move_output_files(project: Folder) -> None:
    project.migration("goes", "import os\nos.mkdir('sub')\nos.chdir('sub')")
    assert project.monarch("migrate", "dev", "--junit", "out.xml").code == 0
    assert "<testcase" in (project.path / "out.xml").read_text()


def test_a_junit_file_that_cannot_be_written_is_an_error(project: Folder) -> None:
    (project.path / "sub").mkdir()
    key = project.migration("removes", "import shutil\nshutil.rmtree('sub')")
    result = project.monarch("migrate", "dev", "--junit", "sub/out.xml", "--json")
    assert result.code == 1
    assert "out.xml cannot be written" in result.err
    assert (events(result)[-1]["ok"], events(result)[-1]["done"]) == (False, [key])
    assert project.states() == {key: "Completed"}


def test_a_migration_may_close_its_standard_output(project: Folder) -> None:
    project.migration("closes", "import sys\nsys.stdout.close()")
    project.migration("behind", INSERT)
    result = project.monarch("migrate", "dev")
    assert (result.code, result.err) == (0, "")
    assert ran_by(project) == ["Behind"]


def test_a_closed_pipe_stops_the_run_between_two_migrations(project: Folder) -> None:
    project.database.docs.insert_many([{"_id": n} for n in range(40)])
    body = """
import time
for document in self.each('docs', batch=2):
    time.sleep(0.02)
    while document['_id'] == 39 and self.database.closed.find_one() is None:
        time.sleep(0.02)
"""
    key = project.migration("scan", body)
    project.migration("behind", INSERT)
    process = project.start("migrate", "dev", "--json")
    await_line(process, "walked")
    assert process.stdout is not None
    process.stdout.close()
    project.database.closed.insert_one({})
    assert process.wait(120) == 1
    assert project.states()[key] == "Completed"
    assert ran_by(project) == []


def test_a_signal_that_a_hook_catches_stops_the_run(project: Folder) -> None:
    hooks(
        project,
        """
def before_migrate(context):
    import os, signal
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        import time; time.sleep(5)
    except KeyboardInterrupt:
        pass
""",
    )
    project.migration("one", INSERT)
    assert project.monarch("migrate", "dev").code == 130
    assert project.states() == {}


def test_threads_that_still_run_are_named(project: Folder) -> None:
    target = "threading.main_thread().join"
    body = f"import threading\nthreading.Thread(target={target}, name='left behind').start()"
    project.migration("threads", body)
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert "Waiting for threads that still run: left behind" in result.err


def test_threads_that_end_in_a_moment_are_not_named(project: Folder) -> None:
    wait = "lambda: threading.main_thread().join(0.3)"
    project.migration("threads", f"import threading\nthreading.Thread(target={wait}).start()")
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert "Waiting for threads" not in result.err


# Damaged documents


@pytest.mark.parametrize(
    "damage",
    counts.sample(
        [
            {"places": [1]},
            {"places": {"a": 1}},
            {"places": {"a": {"after": 1}}},
            {"pid": 2**50},
            {"started_at": "yesterday"},
            {"finished_at": 7},
            {"seconds": "long", "documents": "many"},
            {"action": 7, "outcome": 7},
            {"error": 7, "traceback": 7, "echoed": [1]},
            {"key": 7},
        ],
        4,
    ),
    ids=str,
)
def test_a_damaged_journal_does_not_block_migrations(project: Folder, damage: dict[str, Any]) -> None:
    project.migration("one", "raise ValueError('no')")
    project.invoke("migrate", "dev")
    project.database.mongo_migration_journal.update_one({}, {"$set": damage})
    for words in (["history", "dev"], ["history", "dev", "--json"], ["list_migrations", "dev", "--json"]):
        result = project.invoke(*words)
        assert result.code == 0, result.output
    assert project.invoke("check", "dev").code == 6
    assert project.invoke("mark", "dev", "one", "--as", "completed").code == 0
    assert project.invoke("check", "dev").code == 0


def test_a_date_outside_of_pythons_range_does_not_block_reading(project: Folder) -> None:
    project.migration("one", "raise ValueError('no')")
    project.invoke("migrate", "dev")
    project.database.command(
        "update",
        "mongo_migration_journal",
        updates=[{"q": {}, "u": [{"$set": {"started_at": {"$toDate": 10**17}}}]}],
    )
    for words in (["history", "dev"], ["list_migrations", "dev"]):
        result = project.invoke(*words)
        assert result.code == 0, result.output


@pytest.mark.parametrize(
    "damage",
    counts.sample(
        [
            {"$unset": {"fence": 1}},
            {"$unset": {"taken_at": 1}},
            {"$set": {"fence": "five"}},
            {"$set": {"fence": 5.5}},
            {"$set": {"holder": "bob"}},
            {"$set": {"holder.pid": 2**50}},
            {"$set": {"taken_at": "now"}},
            {"$set": {"expires_at": "later"}},
            {"$set": {"expires_at": None}},
        ],
        3,
    ),
    ids=str,
)
def test_a_damaged_lease_can_be_unlocked(project: Folder, damage: dict[str, Any]) -> None:
    project.migration("one", INSERT)
    later = datetime(2099, 1, 1)
    holder = {"host": "elsewhere", "user": "ann", "pid": 7, "run": "x", "purpose": "migrate dev"}
    lease = {"_id": "lease", "holder": holder, "fence": 5, "taken_at": later, "expires_at": later}
    project.database.monarch_lease.insert_one(lease)
    project.database.monarch_lease.update_one({}, damage)
    if damage != {"$set": {"holder": "bob"}}:  # a holder without a run holds nothing
        assert project.invoke("migrate", "dev", "--no-wait").code == 4
        result = project.invoke("unlock", "dev", "--yes")
        assert (result.code, "Unlocked dev." in result.out) == (0, True), result.output
    result = project.invoke("migrate", "dev", "--no-wait")
    assert result.code == 0, result.output
    assert project.invoke("unlock", "dev").out == "Nobody holds dev.\n"


def test_a_dead_holder_without_a_fence_is_not_a_defect(project: Folder) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    project.migration("one", INSERT)
    holder = {"host": socket.gethostname(), "user": "ann", "pid": process.pid, "run": "x"}
    lease = {"_id": "lease", "holder": holder, "expires_at": datetime(2099, 1, 1)}
    project.database.monarch_lease.insert_one(lease)
    result = project.invoke("migrate", "dev", "--no-wait")
    assert result.code == 4
    assert "monarch unlock dev" in result.err
    assert project.invoke("unlock", "dev", "--yes").code == 0
    assert project.invoke("migrate", "dev").code == 0


def test_a_lease_without_a_holder_is_free(project: Folder) -> None:
    project.migration("one", INSERT)
    project.database.monarch_lease.insert_one(
        {"_id": "lease", "fence": 5, "expires_at": datetime(2099, 1, 1)}
    )
    assert project.invoke("migrate", "dev", "--no-wait").code == 0


def test_a_copy_made_during_a_migration_has_no_running_migration(project: Folder, server: Server) -> None:
    other = {"uri": server.uri, "db_name": f"{project.db_name}_other"}
    project.settings(dev={"uri": server.uri, "db_name": project.db_name}, other=other)
    key = project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    process = project.start("migrate", "dev")
    await_line(process, "working")
    assert project.invoke("copy_db", "dev:other", "--yes", "--engine", "native").code == 0
    (row,) = project.invoke("list_migrations", "other", "--json").json
    assert (row["key"], row["state"]) == (key, "Interrupted")
    assert project.invoke("drop_db", "other", "--yes").code == 0
    process.send_signal(15)
    try:
        process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
