"""``--log-file``: everything with its time, for this user only, and without secrets."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from bson import ObjectId

from monarch.commands.loudness.log_file import _without_answers
from monarch.version import __version__
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.servers.s3 import S3Server

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d+ (\w+): \S.*")
# Shown on the terminal by the migration itself, and never logged.
PRINTED = "printed-4711@example.com"


def kinds(path: Path) -> list[str]:
    """Return the kinds of the lines of a log file, all of which must be whole."""
    found = [(line, LINE.fullmatch(line)) for line in path.read_text().splitlines()]
    assert [line for line, match in found if match is None] == []
    return [match[1] for _, match in found if match]


def test_a_run_is_logged(project: Folder) -> None:
    project.migration("one", "self.database.users.insert_many({'mail': 'ann@example.com'} for _ in '123')")
    path = project.path / "log"
    quiet = project.monarch("migrate", "dev", "--yes", "--log-file", "log")
    assert quiet.code == 0
    assert "database:" not in quiet.output
    assert {"command", "database", "output"} == set(kinds(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    log = path.read_text()
    lines = log.splitlines()
    assert lines[0].endswith(f"command: monarch migrate dev --yes --log-file log (monarch {__version__})")
    assert re.search(r"command: exit code 0, after \d", lines[-1])
    assert f"insert {project.db_name}.users: 3 documents" in log
    assert "output: 1 migration done in" in log
    assert "ann@example.com" not in log

    assert project.monarch("--log-file", "log", "check", "nowhere").code == 2
    added = path.read_text().removeprefix(log).splitlines()
    assert [LINE.fullmatch(line)[1] for line in added] == ["command", "error", "hint", "command"]  # type: ignore[index]
    assert "exit code 2" in added[-1]


def test_errors_in_the_arguments_are_logged_too(folder: Folder) -> None:
    assert folder.invoke("migrate", "--log-file", "log").code == 2
    assert kinds(folder.path / "log") == ["command", "error", "hint", "command"]


@pytest.mark.parametrize("where", ["folder", "missing/log", "", "fifo"])
def test_a_file_that_cannot_be_opened_is_refused_before_anything_is_done(project: Folder, where: str) -> None:
    project.migration("one")
    (project.path / "folder").mkdir()
    os.mkfifo(project.path / "fifo")
    result = project.invoke("migrate", "dev", "--yes", "--log-file", where)
    assert_error(result, 2, "log file .* cannot be opened: .*Nothing was done", "Name a file")
    assert project.states() == {}


def test_a_full_disk_is_noted_once_and_stops_nothing(project: Folder) -> None:
    key = project.migration("one")
    result = project.monarch("migrate", "dev", "--yes", "--log-file", "/dev/full")
    assert result.code == 0
    assert project.states() == {key: "Completed"}
    note = "Note: Nothing more is written to the log file /dev/full: No space left on device."
    assert result.err.splitlines() == [note]


def test_several_processes_share_a_file(project: Folder) -> None:
    project.migration("one")
    runs = [project.start("check", "dev", "-v", "--log-file", "log") for _ in range(3)]
    assert {run.wait(120) for run in runs} == {3}
    for run in runs:
        run.communicate()
    assert kinds(project.path / "log").count("command") == 6
    numbers = {line.split()[1] for line in (project.path / "log").read_text().splitlines()}
    assert numbers == {str(run.pid) for run in runs}


@pytest.mark.parametrize("spelling", ["-o", "-yo", "--option", "--option="])
def test_answers_to_query_sets_are_not_logged(two: TwoEnvironments, spelling: str) -> None:
    two.folder.write(
        "querysets/some_users.py",
        """
        from click import prompt
        from monarch import QuerySet

        class SomeUsersQuerySet(QuerySet):
            def run(self):
                self.dump_collection('users', {'name': prompt('Name'), 'age': prompt('Age', type=int)})
        """,
    )
    answer = "name=user 7-of-ann"
    given = [f"{spelling}{answer}"] if spelling.endswith("=") else [spelling, answer]
    given += ["-o", "age=7"]
    which = ("copy_db", "production:dev", "-q", "SomeUsersQuerySet")
    how = ("--yes", "-v", "--log-file", "log")
    result = two.folder.monarch(*which, *given, *how)
    assert result.code == 0
    assert two.target.users.count_documents({}) == 0
    log = (two.folder.path / "log").read_text()
    assert "user 7-of-ann" not in log + result.err
    assert "name=********" in log
    wrong = two.folder.monarch(*which, *given[:-1], "age=7-of-ann", *how)
    assert "7-of-ann" in wrong.err  # the person sees what was wrong
    assert wrong.code == 2
    assert "7-of-ann" not in (two.folder.path / "log").read_text()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["-o", "a=secret"], "-o 'a=********'"),
        (["-oa=secret"], "'-oa=********'"),
        (["-yo", "a=secret=b"], "-yo 'a=********'"),
        (["--option=a=secret"], "'--option=a=********'"),
        (["--option", "a=-o", "secret=b"], "--option 'a=********' secret=b"),
        (["--rename", "old=new", "-o"], "--rename old=new -o"),
        (["--only", "x"], "--only x"),
        (["shell", "dev", "--", "-c", "SELECT 'secret'"], "shell dev -- ********"),
        (["delete_backup", "--", "-x"], "delete_backup -- -x"),
    ],
)
def test_the_command_line_without_answers(given: list[str], shown: str) -> None:
    assert shlex.join(_without_answers(given)[0]).replace("'", "") == shown.replace("'", "")


def test_no_secret_is_logged(two: TwoEnvironments, s3: S3Server) -> None:
    """Planted in settings, variables, documents and arguments, also where they get into errors."""
    folder, bucket = two.folder, f"log-{ObjectId()}"
    s3.client().create_bucket(Bucket=bucket)
    password = two.server.password
    assert password is not None
    planted = ["person-4711@example.com", "variable-4711", "argument-4711", PRINTED, password, s3.secret]
    two.source.users.insert_one({"name": planted[0]})
    with (folder.path / "migrations/settings.py").open("a") as settings:
        settings.write(
            f"BACKUPS = {{'S3': {s3.settings(bucket)!r}}}\n"
            "import os\n"
            "ENVIRONMENTS['gone'] = {'uri': 'mongodb://ann:' + os.environ['PLANTED'] + "
            "'@127.0.0.1:1/?serverSelectionTimeoutMS=200', 'db_name': 'a'}\n"
            "ENVIRONMENTS['wrong'] = {**ENVIRONMENTS['dev'], 'uri': "
            "ENVIRONMENTS['dev']['uri'].replace(':', ':' + os.environ['PLANTED'], 2)}\n"
        )
    body = f"""
        print({PRINTED!r})
        self.database.twice.insert_many({{'mail': {planted[0]!r}}} for _ in 'ab')
        self.database.twice.create_index('mail', unique=True)
    """
    folder.migration("twice", body)
    folder.variables["PLANTED"] = "variable-4711"
    everything = ""
    for command in (
        ("copy_db", "production:dev", "--yes"),
        ("backup", "production"),
        ("list_backups",),
        ("migrate", "dev", "--yes"),
        ("history", "dev", "twice"),
        ("uri", "dev", "--reveal", "--yes"),
        ("check", "gone"),
        ("check", "wrong"),
        ("check", "mongodb://ann:argument-4711@h"),
        ("drop_db", "dev", "--yes"),
    ):
        result = folder.monarch(*command, "-v", "--log-file", "log")
        spoken = [line for line in result.err.splitlines() if line.startswith(("database:", "store:"))]
        everything += "\n".join(spoken)
    log = (folder.path / "log").read_text()
    assert {"database", "store", "error"} <= set(kinds(folder.path / "log"))
    assert f"PUT {s3.url}/{bucket}/" in log
    assert "createIndexes failed: DuplicateKey" in log
    for secret in planted:
        assert secret not in log + everything, (secret, log)


def test_a_log_file_outlives_a_kill(project: Folder) -> None:
    project.migration("one", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert project.monarch("migrate", "dev", "--yes", "--log-file", "log").code == -9
    assert kinds(project.path / "log")[-1] in ("database", "output")


def test_a_log_that_is_no_file_is_written_to(folder: Folder) -> None:
    """For example the terminal's, or that of a container."""
    folder.settings(dev={"host": "h", "db_name": "a"})
    run = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m monarch list_environments --log-file /dev/fd/3 3>&1 >/dev/null"],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert LINE.fullmatch(run.stdout.splitlines()[0])


def test_a_file_that_a_migration_closes_gets_no_line_into_another(project: Folder) -> None:
    body = """
        import os
        os.closerange(3, 64)
        others = [os.open(f'other{n}', os.O_WRONLY | os.O_CREAT) for n in range(40)]
    """
    project.migration("closes", body)
    project.monarch("migrate", "dev", "--yes", "--log-file", "log")
    others = list(project.path.glob("other*"))
    assert len(others) == 40
    assert {other.read_bytes() for other in others} == {b""}


def test_an_interruption_is_logged(project: Folder) -> None:
    project.migration("one", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert project.monarch("migrate", "dev", "--yes", "--log-file", "log").code == 130
    assert "exit code 130" in (project.path / "log").read_text().splitlines()[-1]


@pytest.mark.parametrize("options", [("-C", "sub", "--log-file", "log"), ("--log-file", "log", "-C", "sub")])
def test_the_folder_to_go_to_comes_first(folder: Folder, options: tuple[str, ...]) -> None:
    folder.write("sub/migrations/settings.py", "ENVIRONMENTS = {'dev': {'host': 'h', 'db_name': 'a'}}")
    assert folder.monarch("list_environments", *options).code == 0
    assert (folder.path / "sub/log").is_file()
    assert folder.monarch(*options, "list_environments").code == 0
    assert len((folder.path / "sub/log").read_text().splitlines()) > 4


@pytest.mark.parametrize("where", ["migrations/settings.py", "link", "notes.txt"])
def test_a_file_that_is_no_log_is_not_written_to(project: Folder, where: str) -> None:
    project.write("notes.txt", "2026-01-01 something else\n")
    (project.path / "link").symlink_to(project.path / "migrations/settings.py")
    before = (project.path / where).read_bytes()
    refused = project.monarch("list_environments", "--log-file", where)
    assert (refused.code, refused.out) == (2, "")
    assert "is no log file of monarch. Nothing was done." in refused.err
    assert (project.path / where).read_bytes() == before
    for _ in range(2):
        assert project.monarch("list_environments", "--log-file", "new.log").code == 0
