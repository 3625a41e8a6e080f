"""An embedded server: started, shared, stopped, and cleaned up after killed commands."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from monarch import Project
from monarch.databases.mongo.embedded.program import find_mongod
from tests.support import counts
from tests.support.runs.shell import Folder

INSERT = "self.database.ran.insert_one({})"
KILLS = counts.number(reduced=5, full=25)


def mongods(folder: Folder) -> list[int]:
    """The mongods that have the folder's data open, including those that are shutting down."""
    deadline = time.monotonic() + 60
    while len(found := _mongods(folder)) > 0 and not _alive(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _alive(folder: Folder) -> bool:
    """Whether the data of the folder is locked by a mongod."""
    try:
        with (folder.path / ".monarch/dev/data/mongod.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _mongods(folder: Folder) -> list[int]:
    data = str(folder.path / ".monarch")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if data in command and "--dbpath" in command:
            found.append(int(entry.name))
    return found


def count(folder: Folder) -> int:
    with Project(folder.path).open("dev") as database:
        number: int = database.handles()["database"].ran.count_documents({})  # type: ignore[attr-defined]
        return number


def test_it_runs_while_a_command_does_and_keeps_its_data(embedded_project: Folder) -> None:
    embedded_project.migration("one", INSERT)
    result = embedded_project.monarch("migrate", "dev")
    assert (result.code, result.err) == (0, "")
    assert mongods(embedded_project) == []
    assert "Completed" in embedded_project.monarch("list_migrations", "dev").out
    assert mongods(embedded_project) == []


def test_it_is_a_replica_set_with_authentication_and_private_files(embedded_project: Folder) -> None:
    with Project(embedded_project.path).open("dev") as database:
        uri = str(database.handles()["uri"])
        with MongoClient[dict[str, object]](uri) as client, client.start_session() as session:
            with session.start_transaction():
                client.app.t.insert_one({"_id": 1}, session=session)
            assert client.admin.command("hello")["setName"] == "monarch"
            host = f"mongodb://{uri.partition('@')[2].partition('/')[0]}/?directConnection=true"
        assert "127.0.0.1" in host
        with MongoClient[dict[str, object]](host) as stranger, pytest.raises(OperationFailure):
            stranger.app.t.find_one()
    top = embedded_project.path / ".monarch"
    assert stat.S_IMODE(top.stat().st_mode) == 0o700
    for name in ("password", "key"):
        assert stat.S_IMODE((top / "dev" / name).stat().st_mode) == 0o600
    assert (top / ".gitignore").read_text() == "*\n"


def test_two_commands_share_it(embedded_project: Folder) -> None:
    may_end = embedded_project.path / "may_end"
    wait = f"while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.02)"
    embedded_project.migration("wait", f"echo('working')\nimport pathlib, time\n{wait}")
    first = embedded_project.start("migrate", "dev")
    assert first.stdout is not None
    while "working" not in first.stdout.readline():
        assert first.poll() is None
    (pid,) = mongods(embedded_project)
    second = embedded_project.monarch("list_migrations", "dev")
    assert "Processing" in second.out
    assert first.poll() is None
    assert mongods(embedded_project) == [pid]
    may_end.touch()
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, out + err
    assert mongods(embedded_project) == []


def test_it_keeps_running_for_the_second_command_when_the_first_ends(embedded_project: Folder) -> None:
    with Project(embedded_project.path).open("dev") as database:
        assert embedded_project.monarch("list_migrations", "dev").code == 0
        assert len(mongods(embedded_project)) == 1
        assert database.history.read() == {}
    assert mongods(embedded_project) == []


def test_many_commands_at_once(embedded_project: Folder) -> None:
    embedded_project.migration("one", INSERT)
    runs = [embedded_project.start("list_migrations", "dev") for _ in range(6)]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
    assert mongods(embedded_project) == []


def test_the_next_command_cleans_up_after_a_killed_one(embedded_project: Folder) -> None:
    """The kills are spread over the first start, later starts, work and stop."""
    embedded_project.monarch("list_migrations", "dev")
    count_before = 0
    dice = random.Random(4)
    for number in range(KILLS):
        if number % 5 == 4:  # the first start, before the setup
            shutil.rmtree(embedded_project.path / ".monarch")
            count_before = 0
        command = embedded_project.start("list_migrations", "dev")
        time.sleep(dice.uniform(0.1, 2.4))
        command.kill()
        command.communicate()
        with Project(embedded_project.path).open("dev") as database:
            result = database.handles()["database"].ran  # type: ignore[attr-defined]
            assert result.count_documents({}) == count_before
            result.insert_one({})
            count_before += 1
            assert len(mongods(embedded_project)) == 1
        assert mongods(embedded_project) == []


def test_a_server_that_dies_while_in_use_is_started_again(embedded_project: Folder) -> None:
    with Project(embedded_project.path).open("dev"):
        (pid,) = mongods(embedded_project)
        os.kill(pid, signal.SIGKILL)
        assert embedded_project.monarch("list_migrations", "dev").code == 0
    assert mongods(embedded_project) == []


def test_it_uses_another_port_if_its_port_is_taken(embedded_project: Folder) -> None:
    import json
    import socket

    with Project(embedded_project.path).open("dev") as database:
        database.handles()["database"].ran.insert_one({})  # type: ignore[attr-defined]
    state = json.loads((embedded_project.path / ".monarch/dev/server.json").read_text())
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", state["port"]))
        assert count(embedded_project) == 1


def test_the_reason_of_a_failed_start_is_reported(embedded_project: Folder) -> None:
    embedded_project.monarch("list_migrations", "dev")
    data = embedded_project.path / ".monarch" / "dev" / "data"
    (data / "WiredTiger.turtle").write_text("not a turtle")
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 5
    error, hint = result.err.splitlines()
    assert "The embedded MongoDB server ended with exit code" in error
    assert ".monarch/dev/log" in hint
    assert (data / "WiredTiger.turtle").exists()


def test_a_missing_mongod_is_reported_with_what_to_install(embedded_project: Folder) -> None:
    nowhere = embedded_project.path / "nowhere"
    nowhere.mkdir()
    code = (
        "from monarch.databases.mongo.embedded import program; program.PACKAGES = ();"
        "from monarch.commands import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "list_migrations", "dev"],
        cwd=embedded_project.path,
        env={**os.environ, "PATH": str(nowhere)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 5
    assert "there is no mongod on the PATH" in run.stderr
    assert "pip install 'monarch[embedded]'" in run.stderr


def test_a_key_that_others_may_read_is_made_private(embedded_project: Folder) -> None:
    """A copy of the folder, or a mount, may have changed its mode, and the server refuses such a key."""
    assert embedded_project.monarch("list_migrations", "dev").code == 0
    (key,) = embedded_project.path.rglob("key")
    key.chmod(0o644)
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 0, result.err
    assert key.stat().st_mode & 0o777 == 0o600


def test_a_mongod_on_the_path_comes_first(embedded_project: Folder) -> None:
    binary = embedded_project.path / "bin"
    binary.mkdir()
    embedded_project.write("bin/mongod", "#!/bin/sh\necho 'mongod: no such luck' >&2\nexit 3\n").chmod(0o755)
    embedded_project.variables["PATH"] = f"{binary}:{os.environ['PATH']}"
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 5
    assert "ended with exit code 3. Its last error: mongod: no such luck" in result.err


def test_the_package_s_mongod_is_made_executable(tmp_path: Path) -> None:
    from monarch.databases.mongo.embedded.program import _make_executable

    program = tmp_path / "mongod"
    program.touch(mode=0o644)
    _make_executable(program)
    assert os.access(program, os.X_OK)
    assert os.access(find_mongod(), os.X_OK)


def test_a_file_system_without_locks_is_reported(embedded_project: Folder) -> None:
    code = "import sys; sys.modules['fcntl'] = None; from monarch.commands import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "list_migrations", "dev"],
        cwd=embedded_project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 5
    assert "which needs Linux or macOS" in run.stderr


def test_a_full_disk_at_the_first_start_is_reported_and_recovered_from(
    embedded_project: Folder, small_disk: Path
) -> None:
    (embedded_project.path / ".monarch").symlink_to(small_disk)
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 5
    error, hint = result.err.splitlines()
    assert error.startswith("Error: The embedded MongoDB server")
    assert len(error) < 700
    assert "log" in hint
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert embedded_project.monarch("list_migrations", "dev").code == 0


@pytest.mark.parametrize("damaged", ["", "[]", '{"port": "x"}', '{"port": 0}', '{"port": 1e400}'])
def test_a_damaged_state_file_is_replaced(embedded_project: Folder, damaged: str) -> None:
    embedded_project.write(".monarch/dev/server.json", damaged)
    assert embedded_project.monarch("list_migrations", "dev").code == 0


def test_a_moved_project_stops_its_old_server(embedded_project: Folder) -> None:
    embedded_project.migration("slow", "echo('working')\nimport time\nwhile True: time.sleep(0.1)")
    command = embedded_project.start("migrate", "dev")
    assert command.stdout is not None
    while "working" not in command.stdout.readline():
        assert command.poll() is None
    command.kill()
    command.communicate()
    old = embedded_project.path
    embedded_project.path = old.with_name("moved")
    old.rename(embedded_project.path)
    assert embedded_project.monarch("list_migrations", "dev").code == 0
    assert mongods(embedded_project) == []


@pytest.mark.parametrize("name", ["users.lock", "gate.lock"])
def test_a_lock_file_that_is_a_link_is_refused(embedded_project: Folder, name: str) -> None:
    folder = embedded_project.path / ".monarch/dev"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(embedded_project.path / "elsewhere")
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 5, result.output
    assert f"{name} cannot be used" in result.err
    assert "Hint: monarch creates that file itself" in result.err
    assert not (embedded_project.path / "elsewhere").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders to another user")
@pytest.mark.parametrize("name", [".monarch", ".monarch/dev"])
def test_a_folder_of_another_user_is_refused(embedded_project: Folder, name: str) -> None:
    (embedded_project.path / ".monarch/dev").mkdir(parents=True)
    os.chown(embedded_project.path / name, 12345, -1)
    result = embedded_project.monarch("list_migrations", "dev")
    assert result.code == 5, result.output
    assert f"{name} belongs to another user" in result.err
