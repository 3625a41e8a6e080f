"""The real tools that the other tests run: they use their caller's pipes and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from bson import ObjectId
from pymongo.database import Database

from tests.support.servers import wine
from tests.support.servers.mongod import PASSWORD, Server
from tests.support.servers.tools import find_tools, why_none

BYTES = 20_000_000  # of a dump: more than all buffers between the tool and the test


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database[dict[str, Any]]]:
    """A database whose dump takes a short time, and much longer if nobody reads it."""
    with server.client() as client:
        made = client[f"t_{ObjectId()}"]
        blobs = [{"_id": number, "é": os.urandom(10_000)} for number in range(BYTES // 10_000)]
        made["blobs"].insert_many(blobs)
        made["small"].insert_one({"text": "\r\n\x1a\0"})
        made["small"].create_index("text", name="by text")
        yield made
        client.drop_database(made)


@contextmanager
def start(
    tools: Path, server: Server, name: str, *arguments: str, options: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a tool that reads the server's URI from a pipe, the only way to keep it secret."""
    readable, writable = os.pipe()
    os.write(writable, json.dumps({"uri": server.uri + options}).encode())
    os.close(writable)
    process = subprocess.Popen(
        [tools / name, f"--config=/dev/fd/{readable}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[readable],
        start_new_session=True,
    )
    os.close(readable)
    with process:
        yield process
        process.kill()


def run(
    tools: Path, server: Server, name: str, *arguments: str, stdin: bytes = b"", options: str = ""
) -> bytes:
    with start(tools, server, name, *arguments, options=options) as process:
        out, err = process.communicate(stdin, timeout=120)
    assert process.returncode == 0, err
    return out


def command_lines() -> dict[int, bytes]:
    """Return the arguments of every process, which all users may read."""
    lines = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines[int(process.name)] = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
    return lines


def hashes(database: Database[dict[str, Any]]) -> dict[str, str]:
    collections: dict[str, str] = database.command("dbHash")["collections"]
    return collections


def test_they_print_their_version(tools: Path) -> None:
    for name in ("mongodump", "mongorestore"):
        result = subprocess.run([tools / name, "--version"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith(f"{name} version: 100.")
        assert "\r" not in result.stdout
        assert result.stderr == ""


def test_a_dump_and_a_restore_through_pipes(
    tools: Path, server: Server, database: Database[dict[str, Any]]
) -> None:
    archive = run(tools, server, "mongodump", f"--db={database.name}", "--archive")
    assert len(archive) > BYTES
    target = database.client[f"t_{ObjectId()}"]
    renamed = (f"--nsFrom={database.name}.*", f"--nsTo={target.name}.*")
    run(tools, server, "mongorestore", "--archive", *renamed, stdin=archive)
    assert hashes(target) == hashes(database)
    assert set(target["small"].index_information()) == {"_id_", "by text"}
    database.client.drop_database(target)


def test_files_and_folders(
    tools: Path, server: Server, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    query, folder = tmp_path / "a query.json", tmp_path / "é"
    query.write_text('{"_id": {"$lt": 3}}')
    only = (f"--db={database.name}", "--collection=blobs", f"--queryFile={query}")
    run(tools, server, "mongodump", *only, "--out", str(folder))
    target = database.client[f"t_{ObjectId()}"]
    renamed = (f"--nsFrom={database.name}.*", f"--nsTo={target.name}.*")
    run(tools, server, "mongorestore", *renamed, "--drop", str(folder))
    assert target["blobs"].count_documents({}) == 3
    database.client.drop_database(target)


def test_a_certificate_named_in_the_uri(tools: Path, tls_server: Server) -> None:
    options = f"?tls=true&tlsCAFile={tls_server.ca}"
    assert run(tools, tls_server, "mongodump", "--db=admin", "--archive", options=options)


def test_several_at_once(tools: Path) -> None:
    def version(_: int) -> int:
        return subprocess.run([tools / "mongodump", "--version"], capture_output=True, check=False).returncode

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(version, range(8))) == [0] * 8


@pytest.mark.parametrize(("argument", "code"), [("--nonsense", 1), ("-v=nonsense", 255)])
def test_exit_codes(tools: Path, argument: str, code: int) -> None:
    result = subprocess.run([tools / "mongodump", argument], capture_output=True, check=False)
    assert result.returncode == code
    assert result.stderr
    assert b"\r" not in result.stderr


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_dump_reports_it(
    tools: Path, server: Server, database: Database[dict[str, Any]], number: signal.Signals, whole_group: bool
) -> None:
    # The dump may be complete before the tool receives the signal; then the test tries again.
    for _ in range(5):
        with start(tools, server, "mongodump", f"--db={database.name}", "--archive") as process:
            assert process.stdout
            process.stdout.read(200_000)
            if whole_group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            break
    assert process.returncode == 1
    assert len(out) < BYTES
    assert b"received; attempting to shut down" in err
    # One signal only: with a second one the tool ends at once and leaves its archive incomplete.
    assert b"forcefully" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_before_it_listens(tools: Path, number: signal.Signals) -> None:
    readable, writable = os.pipe()  # nothing is written to it
    command = [str(tools / "mongodump"), f"--config=/dev/fd/{readable}", "--archive"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[readable]) as process:
        time.sleep(0.5)
        process.send_signal(number)
        assert process.wait(60) in (-number, 2)  # depends on Go's runtime
    os.close(readable)
    os.close(writable)


def test_a_killed_tool_leaves_no_process(
    tools: Path, server: Server, database: Database[dict[str, Any]]
) -> None:
    with start(tools, server, "mongodump", f"--db={database.name}", "--archive") as process:
        assert process.stdout
        process.stdout.read(1)
        assert running(database.name)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
        # Its pipes are still open here, so a closed pipe is not why it ends.
        deadline = time.monotonic() + 60
        while running(database.name):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_no_secret_is_in_a_command_line(
    tools: Path, server: Server, database: Database[dict[str, Any]]
) -> None:
    with start(tools, server, "mongodump", f"--db={database.name}", "--archive") as process:
        assert process.stdout
        process.stdout.read(1)
        # Other tests of this run may pass the same password to processes of their own.
        tools_lines = (database.name.encode(), b"mongodump")
        lines = {
            number: line
            for number, line in command_lines().items()
            if any(word in line for word in tools_lines)
        }
        assert any(database.name.encode() in line for line in lines.values())
        for spelled in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), quote_plus(PASSWORD)):
            assert not [line for line in lines.values() if spelled.encode() in line]


def running(word: str) -> Sequence[int]:
    """The processes that have ``word`` among their arguments."""
    return [number for number, line in command_lines().items() if word.encode() in line]


def test_tools_on_the_path_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mongodump", "mongorestore"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_tools(tmp_path / "cache", tmp_path / "scripts") == tmp_path


def test_missing_tools_are_reported_with_how_to_install_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.support.servers.tools.DEBIANS_WINE", tmp_path / "wine64")
    monkeypatch.setattr("tests.support.servers.tools.PACKAGE", "monarch-no-such-package")
    assert find_tools(tmp_path, tmp_path) is None
    assert "apt-get install --no-install-recommends wine64" in why_none()
    assert "monarch-no-such-package (in the extra `test`)" in why_none()
    assert "\n" not in why_none()


@pytest.mark.parametrize(
    ("argument", "translated"),
    [
        ("--config=/dev/fd/5", r"--config=Z:\proc\7\fd\5"),
        ("/proc/self/fd/5", r"Z:\proc\7\fd\5"),
        ("--out=/a b/é", r"--out=Z:\a b\é"),
        ("/a b/é", r"Z:\a b\é"),
        ("--out=-", "--out=-"),
        ("--db=-d", "--db=-d"),
        ("--password=/no/file", "--password=/no/file"),
        ('--query={"a": "/b"}', '--query={"a": "/b"}'),
        ("folder/a=/b", "folder/a=/b"),
    ],
)
def test_file_names_are_translated_for_wine(argument: str, translated: str) -> None:
    assert list(wine.translated([argument], 7)) == [translated]
