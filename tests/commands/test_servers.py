"""Servers that are not there, refuse, or go away; and that nothing tells the password."""

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

# In place of the half minute in which a server is asked again.
IMPATIENT = """
import os
from monarch.databases.mongo.connection import retry as patience
patience.PATIENCE = patience._ONCE = 1.0
"""


def assert_error(ran: CommandResult, code: int, said: str, hint: str) -> None:
    assert ran.code == code, ran.output
    error, hinted = ran.err.splitlines()
    assert re.search(said, error), error
    assert hint in hinted, hinted


@pytest.mark.parametrize(("option", "seconds"), [({}, "5"), ({"serverSelectionTimeoutMS": 700}, "0.7")])
def test_a_host_where_nothing_listens_is_not_waited_for_long(
    folder: Folder, option: dict[str, int], seconds: str
) -> None:
    port = free_port()
    folder.settings(dev={"host": f"localhost:{port}", "db_name": "a", **option})
    ran = folder.monarch("list_migrations", "dev")
    said = rf"Cannot reach MongoDB for 'dev' \(localhost:{port}\) within {seconds} seconds:.*refused"
    assert_error(ran, 5, said, "Check that it is running")


def test_a_name_that_does_not_resolve(folder: Folder) -> None:
    folder.settings(dev={"host": "no-such-host.invalid:27017", "db_name": "a"})
    ran = folder.monarch("migrate", "dev", "--yes")
    assert_error(
        ran, 5, r"Cannot reach MongoDB for 'dev' \(no-such-host.invalid:27017\)", "Check that it is running"
    )


def test_an_srv_name_that_does_not_resolve(folder: Folder) -> None:
    folder.settings(dev={"uri": "mongodb+srv://me:very-hush@no-such.host.invalid/a"})
    ran = folder.monarch("migrate", "dev", "--yes")
    assert_error(ran, 5, r"Cannot look up mongodb\+srv://no-such.host.invalid for 'dev'", "DNS")
    assert "very-hush" not in ran.output


def test_a_server_that_wants_a_user(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"host": project.server.host, "db_name": "a"})
    assert_error(project.monarch("migrate", "dev"), 5, "the environment has no 'username'", "'password'")


def test_a_wrong_password(project: Folder) -> None:
    assert project.server is not None
    project.settings(
        dev={"host": project.server.host, "db_name": "a", "username": "me", "password": "wrong-and-hush"}
    )
    ran = project.monarch("migrate", "dev")
    assert_error(ran, 5, r"does not accept user 'me' and its password", "looked up in 'a'")
    assert "wrong-and-hush" not in ran.output


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
    ran = project.monarch("migrate", "dev")
    assert_error(
        ran, 5, r"refuses user 'reader': not authorized on \w+ to execute command findAndModify$", "readWrite"
    )
    assert project.states() == {}
    ran = project.monarch("drop_db", "dev", "--yes")
    assert_error(ran, 5, r"refuses user 'reader': not authorized on", "dbAdmin")
    with project.server.client() as client:
        client[project.db_name].command("dropUser", "reader")


@pytest.mark.parametrize("character", list("@:/?#%["))
def test_an_unescaped_character_in_a_uri_shows_no_piece_of_it(project: Folder, character: str) -> None:
    assert project.server is not None
    uri = f"mongodb://me:hush{character}secret@{project.server.host}/a"
    project.settings(dev={"uri": uri})
    for command in (["check", "dev"], ["migrate", "dev"], ["migrate", "dev", "--traceback"]):
        ran = project.monarch(*command)
        assert ran.code == 2
        assert "its 'uri' cannot be read" in ran.err
        assert "%40" in ran.err
        assert "hush" not in ran.output
        assert "secret" not in ran.output


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
        ran = project.monarch("list_migrations", name)
        assert (ran.code, ran.err) == (0, ""), name


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
    for text in [*(ran.output for ran in runs), attempts]:
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
        ran = folder.monarch("list_migrations", name)
        assert (ran.code, ran.err) == (0, ""), name
    ran = folder.monarch("list_migrations", "untrusted")
    assert_error(ran, 5, "certificate verify failed", "tlsCAFile")
    ran = folder.monarch("list_migrations", "plain")
    assert_error(ran, 5, "Cannot reach MongoDB", "'tls': True")
    ran = folder.monarch("list_migrations", "absent")
    assert_error(ran, 2, "its 'tlsCAFile': .*'/nowhere/ca.pem'", "Check its keys")


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
        ran = folder.monarch("list_migrations", "good")
        assert (ran.code, ran.err) == (0, "")
        wrong = folder.monarch("list_migrations", "wrong", "--traceback")
        assert wrong.code in (2, 5)
        assert "not-that-hush" not in wrong.output
        assert folder.monarch("list_migrations", "without").code == 5
        # No question of OpenSSL's for the password that is missing, which nobody would answer.
        assert_error(folder.monarch("list_migrations", "none"), 2, "cannot be used", "Check its keys")


def test_an_option_value_that_is_none(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"uri": project.server.uri, "db_name": "a", "readPreference": "whatever"})
    ran = project.monarch("list_migrations", "dev")
    assert_error(ran, 2, "whatever", "Check its keys")


def test_the_wrong_replica_set(project: Folder) -> None:
    assert project.server is not None
    project.settings(dev={"uri": project.server.uri, "db_name": "a", "replicaSet": "rs0"})
    ran = project.monarch("list_migrations", "dev")
    assert_error(ran, 5, "Cannot reach MongoDB", "replicaSet")


def test_a_server_that_goes_away_in_the_middle(folder: Folder) -> None:
    with run_mongod() as (port, mongod):
        folder.settings(dev={"host": f"localhost:{port}", "db_name": "a"})
        key = folder.migration("cut", f"{IMPATIENT}os.kill({mongod.pid}, {int(signal.SIGKILL)})")
        folder.migration("later")
        ran = folder.monarch("migrate", "dev")
        assert ran.code == 5
        assert len(ran.err.splitlines()) == 2
        # The migration itself went through; what could not be written is not claimed.
        assert "done" not in ran.out
        assert key in ran.out
        assert "later" not in ran.out.replace("2 migrations", "")


def test_a_failure_that_cannot_be_recorded_says_so(folder: Folder) -> None:
    with run_mongod() as (port, mongod):
        folder.settings(dev={"host": f"localhost:{port}", "db_name": "a"})
        key = folder.migration(
            "cut", f"{IMPATIENT}os.kill({mongod.pid}, {int(signal.SIGKILL)})\nraise ValueError('cut')"
        )
        ran = folder.monarch("migrate", "dev")
        assert ran.code == 1
        assert f"{key} failed: ValueError: cut" in ran.err
        assert "could not be recorded" in ran.err
        assert "left in Processing" in ran.err


def test_output_that_cannot_be_written_is_no_success(project: Folder) -> None:
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


def test_a_password_that_no_server_can_have(project: Folder) -> None:
    assert project.server is not None
    project.settings(
        dev={"host": project.server.host, "db_name": "a", "username": "me", "password": "very-hush\n"}
    )
    ran = project.monarch("list_migrations", "dev")
    assert ran.code == 5
    assert "defect" not in ran.err
    assert "hush" not in ran.output
