"""How long something takes that says nothing: in a terminal, and without one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from monarch.commands.looks import live_line
from monarch.commands.looks.silence import Silence
from tests.commands.migrations.test_migrate import await_line
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments

COUNTED = re.compile(r"\r   running … \d+ s")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, which stands still."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    yield now
    live_line.erase()


def test_without_a_terminal_a_line_is_printed_now_and_then(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    work = Silence("running one", lambda took: took)
    for _ in range(1300):
        clock[0] += 1
        work.tick()
    lines = capsys.readouterr().err.splitlines()
    times = ("30 s", "1 min 00 s", "2 min 00 s", "5 min 00 s", "10 min 00 s", "15 min 00 s", "20 min 00 s")
    assert lines == [f"Running one for {time} …" for time in times]


def test_what_is_not_silent_gets_no_lines(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    work = Silence("copying", lambda took: took)
    for _ in range(100):
        clock[0] += 5
        work.hear("")
        work.tick()
    assert capsys.readouterr().err == ""


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Silence:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    return Silence("running", lambda took: f"running … {took}")


def test_a_terminal_counts_and_forgets(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = on_terminal(monkeypatch)
    work.tick()
    assert capsys.readouterr().err == ""
    clock[0] += 2
    work.tick()
    clock[0] += 10
    work.tick()
    assert capsys.readouterr().err == "\rrunning … 2 s\rrunning … 12 s"
    live_line.erase()
    assert capsys.readouterr().err == f"\r{' ' * 14}\r"


def test_a_line_that_has_not_ended_is_left_alone(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a question, or a bar of the migration's own."""
    work = on_terminal(monkeypatch)
    for text in ("Sure? ", "\r[##--]", ""):
        work.hear(text)
        clock[0] += 5
        work.tick()
        assert capsys.readouterr().err == ""
    work.hear("\n")
    clock[0] += 5
    work.tick()
    assert "running … 20 s" in capsys.readouterr().err


def test_a_migration_that_is_silent_is_counted(project: Folder) -> None:
    project.migration("one", "import time; print('begun'); time.sleep(4.5); print('over')")
    shown = project.terminal("migrate", "dev", "--yes").read()
    assert COUNTED.search(shown)
    # Its own lines are whole, and nothing is left of ours.
    last = [line.rstrip("\r").rpartition("\r")[2] for line in shown.split("\n")]
    assert "over" in last
    assert not any("running" in line for line in last)


@pytest.mark.parametrize("question", ["input('Sure? ')", "__import__('click').confirm('Sure?')"])
def test_a_question_of_a_migration_is_not_written_over(project: Folder, question: str) -> None:
    key = project.migration("one", f"import time; time.sleep(2.5); {question}; time.sleep(3)")
    terminal = project.terminal("migrate", "dev", "--yes")
    terminal.expect("Sure?")
    assert terminal.expect([COUNTED, pytest.importorskip("pexpect").TIMEOUT], timeout=3) == 1
    terminal.sendline("y")
    terminal.read()
    assert project.states() == {key: "Completed"}


def test_quiet_gets_no_count(project: Folder) -> None:
    project.migration("one", "import time; time.sleep(2.5)")
    shown = project.terminal("migrate", "dev", "--yes", "--quiet").read()
    assert "\r" not in shown.replace("\r\n", "")


def test_lines_of_json_are_whole_beside_the_count(project: Folder) -> None:
    """Standard output may be a file; only standard error has the count."""
    project.migration("one", "import time; time.sleep(2.5)")
    shown = project.terminal("migrate", "dev", "--yes", "--json", columns=400).read()
    assert re.search(r"\rrunning \w+ … \d s", shown)
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in shown.strip().split("\n")]
    assert [json.loads(line)["event"] for line in lines][-1] == "summary"


def test_a_dumb_terminal_gets_no_count(project: Folder) -> None:
    project.migration("one", "import time; time.sleep(2.5)")
    shown = project.terminal("migrate", "dev", "--yes", term="dumb").read()
    assert "\r" not in shown.replace("\r\n", "")


def test_a_migration_that_forks_can_print_in_the_child(project: Folder) -> None:
    body = """
        import os, time
        time.sleep(2.2)
        child = os.fork()
        if not child:
            print('of the child', flush=True)
            os._exit(0)
        print('exit', os.waitpid(child, 0)[1])
    """
    key = project.migration("one", body)
    shown = project.terminal("migrate", "dev", "--yes").read()
    assert "of the child" in shown
    assert project.states() == {key: "Completed"}


def test_who_waits_for_a_lease_sees_how_long(two: TwoEnvironments) -> None:
    two.folder.migration("one", "import time; time.sleep(6)")
    first = two.folder.start("migrate", "dev", "--yes")
    await_line(first, "->")
    shown = two.folder.terminal("migrate", "dev", "--yes").read()
    first.communicate()
    assert "Waiting: " in shown
    assert re.search(r"\rwaiting … \d+ s", shown)
    last = [line.rstrip("\r").rpartition("\r")[2] for line in shown.split("\n")]
    assert not any("waiting" in line for line in last)
