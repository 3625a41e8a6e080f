"""``shell`` and ``uri``, with real programs in a real terminal and without one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import pexpect
import psutil
import pymongo
import pytest

from tests.support.runs.billing import Billing, make_billing
from tests.support.runs.shell import MONARCH, CommandResult, Folder
from tests.support.servers.mongod import PASSWORD
from tests.support.servers.postgres import PostgresServer

ODD = "p@ss:w/rd?&#é"
# Does what mongosh does with monarch's arguments, in Python: the real one is tested where it is installed.
MONGOSH = """
    #!{python}
    import json, pathlib, re, sys
    import pymongo

    print(sys.argv[1:])
    assert sys.argv[1:3] == ["--nodb", "--eval"]
    script = pathlib.Path(re.fullmatch(r'void load\\("(.*)"\\)', sys.argv[3])[1]).read_text()
    address = json.loads(re.fullmatch(r"db = connect\\((.*)\\);\\n", script)[1])
    with pymongo.MongoClient(address) as client:
        database = client.get_default_database()
        print(database.dogs.count_documents({{}}), "dogs in", database.name)
    sys.exit(3 if "fail" in sys.argv else 0)
"""


@pytest.fixture
def billing(tmp_path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    with make_billing(tmp_path, postgres) as made:
        yield made


@pytest.fixture
def mongosh(project: Folder, tmp_path: Path) -> Folder:
    """The project of `project` with a dog, and with a mongosh on its PATH."""
    program = project.write("bin/mongosh", dedent(MONGOSH).lstrip().format(python=sys.executable))
    program.chmod(0o755)
    project.variables["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    project.database.dogs.insert_one({"name": "Waldi"})
    return project


def typed(folder: Folder, text: str, *arguments: str) -> CommandResult:
    """Run a command whose standard input is ``text``."""
    environ = {**os.environ, **folder.variables, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*MONARCH, *arguments],
        cwd=folder.path,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def without_programs(folder: Folder) -> None:
    """Take psql and mongosh away from the commands in ``folder``."""
    folder.variables["PATH"] = str(folder.path)


def test_psql_gets_its_arguments_and_gives_its_exit_code(billing: Billing) -> None:
    counted = billing.folder.monarch("shell", "dev", "--", "-AtXc", "SELECT count(*) FROM dogs")
    assert (counted.code, counted.out, counted.err) == (0, "3\n", "")
    failed = billing.folder.monarch("shell", "dev", "--", "-Xc", "SELECT 1/0")
    assert failed.code == 1
    assert "division by zero" in failed.err
    assert "Error:" not in failed.err


def test_psql_reads_standard_input(billing: Billing) -> None:
    assert (
        typed(billing.folder, "SELECT name FROM dogs WHERE id = 2;\n", "shell", "dev").out.split()[2] == "Rex"
    )


def test_no_argument_of_psql_holds_the_password(billing: Billing) -> None:
    shown = billing.folder.monarch("shell", "dev", "--", "-Xc", r"\! tr '\0' ' ' < /proc/$PPID/cmdline")
    assert shown.code == 0, shown
    assert "application_name" in shown.out
    assert not {PASSWORD, quote(PASSWORD, safe="")} & set(re.split(r"[\s=:@]", shown.output))


def test_ctrl_c_is_for_psql_alone(billing: Billing) -> None:
    terminal = billing.folder.terminal("shell", "dev", "--", "-X", "--pset=pager=off")
    terminal.expect("=[#>] ")
    terminal.sendline("SELECT pg_sleep(60);")
    terminal.expect("pg_sleep")
    for _ in range(10):  # until the server has begun it
        terminal.sendintr()
        if terminal.expect(["canceling statement", pexpect.TIMEOUT], timeout=2) == 0:
            break
    terminal.sendline("SELECT 40 + 2;")
    terminal.expect("42")
    terminal.sendline(r"\q")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_a_signal_is_passed_on(billing: Billing) -> None:
    started = billing.folder.start("shell", "dev", "--", "-Xc", "SELECT pg_sleep(60)")
    process = psutil.Process(started.pid)
    while not (children := process.children()):
        assert started.poll() is None
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGTERM
    assert not any(child.is_running() for child in children)


def test_mongosh_reads_the_address_from_a_pipe(mongosh: Folder) -> None:
    shown = mongosh.monarch("shell", "dev")
    assert (shown.code, shown.err) == (0, "")
    assert f"1 dogs in {mongosh.db_name}" in shown.out
    assert "'--shell'" in shown.out
    assert "mongodb://" not in shown.out
    failed = mongosh.monarch("shell", "dev", "--", "--quiet", "fail")
    assert failed.code == 3
    assert "'--shell'" not in failed.out


@pytest.mark.skipif(
    which("mongosh") is None and "CI" not in os.environ,
    reason="There is no mongosh (npm install --ignore-scripts mongosh).",
)
def test_the_real_mongosh(project: Folder) -> None:
    project.database.dogs.insert_one({"name": "Waldi"})
    counted = project.monarch("shell", "dev", "--", "--quiet", "--eval", "db.dogs.countDocuments()")
    assert (counted.code, counted.out.split()[-1:]) == (0, ["1"])
    assert "1" in typed(project, "db.dogs.countDocuments()\n", "shell", "dev").out


@pytest.mark.parametrize("program", ["mongosh", "psql"])
def test_without_the_program_it_is_python(project: Folder, billing: Billing, program: str) -> None:
    is_mongo = program == "mongosh"
    folder = project if is_mongo else billing.folder
    if is_mongo:
        project.settings(
            dev={"host": project.server.host if project.server else "", "db_name": project.db_name}
        )
    without_programs(folder)
    source = "print(db.name)" if is_mongo else "print(db.execute('SELECT count(*) FROM dogs').fetchall())"
    done = typed(folder, source, "shell", "dev", *([] if is_mongo else ["--python"]))
    assert (done.code, done.out.strip()) == (0, project.db_name if is_mongo else "[(3,)]")
    refused = folder.monarch("shell", "dev", "--python", "--", "-c", "x")
    assert (refused.code, refused.out) == (2, "")
    assert "takes no arguments" in refused.err


def test_arguments_need_the_program(project: Folder) -> None:
    without_programs(project)
    refused = project.monarch("shell", "dev", "--", "--eval", "1")
    assert refused.code == 2
    assert "There is no mongosh on the PATH" in refused.err
    assert "Install mongosh" in refused.err


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [("1/0", 1, "ZeroDivisionError"), ("raise SystemExit(7)", 7, ""), ("def", 1, "SyntaxError")],
)
def test_python_without_a_terminal_ends_as_its_code_does(
    project: Folder, source: str, code: int, said: str
) -> None:
    done = typed(project, source, "shell", "dev", "--python")
    assert done.code == code
    assert said in done.err
    assert "defect" not in done.err


def test_a_python_prompt(project: Folder) -> None:
    project.database.dogs.insert_one({"name": "Waldi"})
    terminal = project.terminal("shell", "dev", "--python")
    terminal.expect("`db` is ")
    terminal.expect(">>> ")
    terminal.sendline("while True: pass\n")
    terminal.expect(r"\.\.\. ")
    terminal.sendintr()
    terminal.expect("KeyboardInterrupt")
    terminal.sendline("db.dogs.count_documents({}) + 41")
    terminal.expect("42")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_sigterm_ends_a_prompt(project: Folder) -> None:
    terminal = project.terminal("shell", "dev", "--python")
    terminal.expect(">>> ")
    terminal.kill(signal.SIGTERM)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130


def test_an_embedded_server_runs_as_long_as_the_shell(embedded_project: Folder) -> None:
    without_programs(embedded_project)
    embedded_project.variables["PATH"] += f":{os.environ['PATH']}"
    source = "print(*client.address, sep=':'); print(db.dogs.insert_one({}).acknowledged)"
    done = typed(embedded_project, source, "shell", "dev", "--python")
    host, acknowledged = done.out.split()
    assert (done.code, acknowledged) == (0, "True")
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(host, serverSelectionTimeoutMS=200)
    with client, pytest.raises(pymongo.errors.PyMongoError):
        client.admin.command("ping")


def test_a_hazardous_place_is_named(project: Folder) -> None:
    named = typed(project, "", "shell", "production", "--python")
    assert named.code == 0
    assert "Careful: what you type changes" in named.err
    assert "it is called production" in named.err
    assert "Careful" not in typed(project, "", "shell", "dev", "--python").err


ADDRESSES = {
    "mongo": (
        {"host": "h1,h2:27018", "db_name": "app", "username": "me", "password": ODD, "replicaSet": "r"},
        "mongodb://me@h1,h2:27018/app?replicaSet=r&authSource=app",
        "mongodb://me:p%40ss%3Aw%2Frd%3F%26%23%C3%A9@h1,h2:27018/app?replicaSet=r&authSource=app",
    ),
    "srv": (
        {"uri": "mongodb+srv://me:verysecret@cluster.example.net/app?authMechanismProperties=A:topsecret"},
        "mongodb+srv://me@cluster.example.net/app",
        "mongodb+srv://me:verysecret@cluster.example.net/app?authMechanismProperties=A:topsecret",
    ),
    "postgres": (
        {"uri": "postgresql://me:verysecret@db:5433/app?sslmode=require", "sslpassword": "topsecret"},
        "postgresql://me@db:5433/app?sslmode=require",
        "postgresql://me:verysecret@db:5433/app?sslmode=require&sslpassword=topsecret",
    ),
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_the_address(folder: Folder, kind: str) -> None:
    entry, public, whole = ADDRESSES[kind]
    folder.settings(dev=entry)
    shown = folder.invoke("uri", "dev")
    assert (shown.code, shown.out, shown.err) == (0, f"{public}\n", "")
    assert "secret" not in shown.out
    refused = folder.invoke("uri", "dev", "--reveal")
    assert (refused.code, refused.out) == (2, "")
    assert "add --yes" in refused.err
    revealed = folder.invoke("uri", "dev", "--reveal", "--yes")
    assert (revealed.code, revealed.out) == (0, f"{whole}\n")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_the_question_before_the_password(folder: Folder, answer: str, code: int) -> None:
    folder.settings(dev={"uri": "mongodb://me:verysecret@h/app"})
    terminal = folder.terminal("uri", "dev", "--reveal")
    terminal.expect(r"Print the password of dev here\?")
    terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == code
    assert ("verysecret" in str(terminal.before)) == (code == 0)


def test_an_embedded_environment_has_no_address(folder: Folder) -> None:
    folder.settings(dev={"embedded": True, "db_name": "app"})
    refused = folder.invoke("uri", "dev")
    assert (refused.code, refused.out) == (2, "")
    assert "monarch shell dev" in refused.err
