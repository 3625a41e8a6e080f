"""Servers that are unreachable, refuse, or disappear; and no output contains the password."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.runs.shell import MONARCH, CommandResult, Folder
from tests.support.servers.mongod import PASSWORD, Server, free_port, run_mongod, run_tls_server

pytestmark = pytest.mark.server

# Instead of half a minute of retries.
IMPATIENT = """
import os
from monarch.databases.mongo.connection import retry as patience
patience.PATIENCE = patience._ONCE = 1.0
"""


def assert_error(result: CommandResult, code: int, message: str, hint: str) -> None:
    assert result.code == code, result.output
    error, hinted = result.err.splitlines()
    assert re.search(message, error), error
    assert hint in hinted, hinted


@pytest.mark.parametrize(("option", "seconds"), [({}, "5"), ({"serverSelectionTimeoutMS": 700}, "0.7")])
def test_a_host_without_a_server_fails_quickly(folder: Folder, option: dict[str, int], seconds: str) -> None:
    port = free_port()
    folder.settings(dev={"host": f"localhost:{port}", "db_name": "a", **option})
    result = folder.monarch("list_migrations", "dev")
    message = rf"Cannot reach MongoDB for 'dev' \(localhost:{port}\) within {seconds} seconds:.*refused"
    assert_error(result, 5, message, "Check that it is running")


def test_a_name_that_does_not_resolve(folder: Folder) -> None:
    folder.settings(dev={"host": "no-such-host.invalid:27017", "db_name": "a"})
    result = folder.monarch("migrate", "dev", "--yes")
    assert_error(
        result,
        5,
        r"Cannot reach MongoDB for 'dev' \(no-such-host.invalid:27017\)",
        "Check that it is running",
    )


def test_an_srv_name_that_does_not_resolve(folder: Folder) -> None:
    folder.settings(dev={"uri": "mongodb+srv://me:very-hush@no-such.host.invalid/a"})
    result = folder.monarch("migrate", "dev", "--yes")
    assert_error(result, 5, r"Cannot look up mongodb\+srv://no-such.host.invalid for 'dev'", "DNS")
    assert "very-hush" not in result.output


def test_a_server_that_requires_a_user(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"host": project.server.host, "db_name": "a"})
    assert_error(project.monarch("migrate", "dev"), 5, "the environment has no 'username'", "'password'")


def test_a_wrong_password(project: Folder) -> None:
    assert project.server is not None
    project.settings(
        dev={"host": project.server.host, "db_name": "a", "username": "me", "password": "wrong-and-hush"}
    )
    result = project.monarch("migrate", "dev")
    assert_error(result, 5, r"does not accept user 'me' and its password", "looked up in 'a'")
    assert "wrong-and-hush" not in result.output


def test_a_user_without_the_right(project: Folder) -> None:
    assert project.server is not None
    with project.server.client() as client:
        client[project.db_name].command("createUser", "reader", pwd="reader-hush", roles=["read"])
    project.settings(
        dev={
            "host": project.server.host,
            "db_name": project.db_name,
            "username": "reader",
            "password": "reader-hush",
        }
    )
    project.migration("one")
    assert project.monarch("list_migrations", "dev").code == 0
    result = project.monarch("migrate", "dev")
    assert_error(
        result,
        5,
        r"refuses user 'reader': not authorized on \w+ to execute command findAndModify$",
        "readWrite",
    )
    assert project.states() == {}
    result = project.monarch("drop_db", "dev", "--yes")
    assert_error(result, 5, r"refuses user 'reader': not authorized on", "dbAdmin")
    with project.server.client() as client:
        client[project.db_name].command("dropUser", "reader")


@pytest.mark.parametrize("character", list("@:/?#%["))
def test_an_unescaped_character_in_a_uri_shows_no_part_of_it(project: Folder, character: str) -> None:
    assert project.server is not None
    uri = f"mongodb://me:hush{character}secret@{project.server.host}/a"
    project.settings(dev={"uri": uri})
    for command in (["check", "dev"], ["migrate", "dev"], ["migrate", "dev", "--traceback"]):
        result = project.monarch(*command)
        assert result.code == 2
        assert "its 'uri' cannot be read" in result.err
        assert "%40" in result.err
        assert "hush" not in result.output
        assert "secret" not in result.output


def test_every_spelling_of_credentials_connects(project: Folder) -> None:
    server = project.server
    assert server is not None
    assert server.user is not None
    beside = {"username": server.user, "password": PASSWORD, "authSource": "admin"}
    project.settings(
        a={"uri": server.uri, "db_name": "x"},
        b={"uri": f"mongodb://{server.host}/x", **beside},
        c={"host": server.host, "db_name": "x", **beside},
        d={"uri": f"mongodb://{quote(server.user, safe='')}@{server.host}/admin", "db_name": "x",
           "password": PASSWORD},
    )  # fmt: skip
    for name in "abcd":
        result = project.monarch("list_migrations", name)
        assert (result.code, result.err) == (0, ""), name


def test_no_secret_in_arguments_output_history_or_json(project: Folder) -> None:
    server = project.server
    assert server is not None
    project.migration("tells", "print(open('/proc/self/cmdline').read())\nraise ValueError(self.uri)")
    runs = [
        project.monarch("list_environments"),
        project.monarch("list_environments", "--json"),
        project.monarch("list_migrations", "dev", "--json"),
        project.monarch("migrate", "dev"),
        project.monarch("migrate", "dev", "--retry", "--traceback"),
        project.monarch("list_migrations", "dev", "--json", "--traceback"),
        project.monarch("drop_db", "dev"),
    ]
    attempts = repr(list(project.database.mongo_migration_journal.find()))
    assert "ValueError" in attempts
    for text in [*(result.output for result in runs), attempts]:
        for spelling in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), repr(PASSWORD)[1:-1]):
            assert spelling not in text
        assert "p%40s" not in text


def test_tls(folder: Folder, tls_server: Server) -> None:
    assert tls_server.ca is not None
    uri = f"mongodb://{tls_server.host}/app"
    folder.settings(
        new={"uri": uri, "tlsCAFile": tls_server.ca},
        inside={"uri": f"{uri}?tls=true&tlsCAFile={quote(tls_server.ca, safe='')}"},
        original={"host": tls_server.host, "db_name": "app", "sslCAFile": tls_server.ca},
        untrusted={"uri": uri, "tls": True},
        plain={"uri": uri},
        absent={"uri": uri, "tlsCAFile": "/nowhere/ca.pem"},
    )
    for name in ("new", "inside", "original"):
        result = folder.monarch("list_migrations", name)
        assert (result.code, result.err) == (0, ""), name
    result = folder.monarch("list_migrations", "untrusted")
    assert_error(result, 5, "certificate verify failed", "tlsCAFile")
    result = folder.monarch("list_migrations", "plain")
    assert_error(result, 5, "Cannot reach MongoDB", "'tls': True")
    result = folder.monarch("list_migrations", "absent")
    assert_error(result, 2, "its 'tlsCAFile': .*'/nowhere/ca.pem'", "Check its keys")


def test_a_client_certificate_whose_key_has_a_password(folder: Folder, tmp_path: Path) -> None:
    with run_tls_server(tmp_path, ask_clients=True) as server:
        entry = {
            "host": server.host,
            "db_name": "app",
            "tlsCAFile": str(server.ca),
            "tlsCertificateKeyFile": str(tmp_path / "client.pem"),
        }
        folder.settings(
            good={**entry, "tlsCertificateKeyFilePassword": PASSWORD},
            wrong={**entry, "tlsCertificateKeyFilePassword": "not-that-hush"},
            none=entry,
            without={key: value for key, value in entry.items() if key != "tlsCertificateKeyFile"},
        )
        result = folder.monarch("list_migrations", "good")
        assert (result.code, result.err) == (0, "")
        wrong = folder.monarch("list_migrations", "wrong", "--traceback")
        assert wrong.code in (2, 5)
        assert "not-that-hush" not in wrong.output
        assert folder.monarch("list_migrations", "without").code == 5
        # OpenSSL must not ask for the missing password, because nobody would answer.
        assert_error(folder.monarch("list_migrations", "none"), 2, "cannot be used", "Check its keys")


def test_an_invalid_option_value(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"uri": project.server.uri, "db_name": "a", "readPreference": "whatever"})
    result = project.monarch("list_migrations", "dev")
    assert_error(result, 2, "whatever", "Check its keys")


def test_the_wrong_replica_set(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"uri": project.server.uri, "db_name": "a", "replicaSet": "rs0"})
    result = project.monarch("list_migrations", "dev")
    assert_error(result, 5, "Cannot reach MongoDB", "replicaSet")


def test_a_server_that_disappears_during_a_run(folder: Folder) -> None:
    with run_mongod() as (port, mongod):
        folder.settings(dev={"host": f"localhost:{port}", "db_name": "a"})
        key = folder.migration("cut", f"{IMPATIENT}os.kill({mongod.pid}, {int(signal.SIGKILL)})")
        folder.migration("later")
        result = folder.monarch("migrate", "dev")
        assert result.code == 5
        assert len(result.err.splitlines()) == 2
        # The migration itself succeeded, but its state could not be written and is not reported as completed.
        assert "done" not in result.out
        assert key in result.out
        assert "later" not in result.out.replace("2 migrations", "")


def test_a_server_without_a_journal(folder: Folder) -> None:
    with run_mongod("--nojournal") as (port, _):
        folder.settings(dev={"host": f"localhost:{port}", "db_name": "app"})
        folder.migration("one")
        result = folder.monarch("migrate", "dev")
        assert result.code == 5
        assert "'dev' (localhost:" in result.err
        assert "runs without a journal" in result.err
        assert "Hint: Start mongod without --nojournal. Nothing was changed." in result.err


def test_a_failure_that_cannot_be_recorded_is_reported_as_such(folder: Folder) -> None:
    with run_mongod() as (port, mongod):
        folder.settings(dev={"host": f"localhost:{port}", "db_name": "a"})
        key = folder.migration(
            "cut", f"{IMPATIENT}os.kill({mongod.pid}, {int(signal.SIGKILL)})\nraise ValueError('cut')"
        )
        result = folder.monarch("migrate", "dev")
        assert result.code == 1
        assert f"{key} failed: ValueError: cut" in result.err
        assert "could not be recorded" in result.err
        assert "left in Processing" in result.err


def test_output_that_cannot_be_written_is_an_error(project: Folder) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")
    project.migration("one")
    for unbuffered in ("", "1"):
        with Path("/dev/full").open("w") as full:
            process = subprocess.run(
                [*MONARCH, "list_migrations", "dev"],
                cwd=project.path,
                env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert process.returncode == 1
        error, _ = process.stderr.splitlines()
        assert error.startswith("Error: ")
        assert "No space left" in error


def test_an_impossible_password(project: Folder) -> None:
    assert project.server is not None
    project.settings(
        dev={"host": project.server.host, "db_name": "a", "username": "me", "password": "very-hush\n"}
    )
    result = project.monarch("list_migrations", "dev")
    assert result.code == 5
    assert "defect" not in result.err
    assert "hush" not in result.output
