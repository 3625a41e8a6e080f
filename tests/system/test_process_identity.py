"""Whether a recorded process is alive, on systems with and without /proc."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monarch.system import process_identity
from monarch.system.process_identity import identity, is_alive, is_local


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without /proc, such as macOS: only psutil can find its processes."""
    monkeypatch.setattr(process_identity, "_PROC", tmp_path / "none")


@pytest.fixture
def no_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def of(pid: int) -> dict[str, Any]:
    return {**identity(), "pid": pid, "pid_began": process_identity._began(pid)}


def living_and_ended(child: subprocess.Popen[bytes]) -> None:
    recorded = of(child.pid)
    assert is_local(recorded)
    assert is_alive(recorded)
    assert not is_alive({**recorded, "pid_began": recorded["pid_began"] - 1})  # the pid was used again
    child.kill()
    child.wait()
    assert is_local(recorded)
    assert not is_alive(recorded)


def test_a_process_of_this_machine_lives_until_it_ends(child: subprocess.Popen[bytes]) -> None:
    living_and_ended(child)


@pytest.mark.usefixtures("no_proc")
def test_a_process_without_proc_lives_until_it_ends(child: subprocess.Popen[bytes]) -> None:
    living_and_ended(child)


@pytest.mark.usefixtures("no_proc")
def test_a_zombie_is_not_alive_without_proc(child: subprocess.Popen[bytes]) -> None:
    import psutil

    recorded = of(child.pid)
    child.kill()
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert not is_alive(recorded)


@pytest.mark.usefixtures("no_proc")
@pytest.mark.parametrize("space", [None, "boot 1", "another container"])
def test_another_machine_with_this_name_is_elsewhere(space: str | None) -> None:
    recorded = {**identity(), "pid": 2**22 + 1, "pid_space": space}
    assert not is_local(recorded)
    assert not is_alive(recorded)


@pytest.mark.usefixtures("no_proc", "no_psutil")
def test_without_psutil_every_process_is_elsewhere() -> None:
    recorded = identity()
    assert recorded["pid_space"] is None
    assert not is_local(recorded)
    assert not is_local({**recorded, "pid": 2**22 + 1})


@pytest.mark.usefixtures("no_psutil")
def test_linux_does_not_need_psutil(child: subprocess.Popen[bytes]) -> None:
    living_and_ended(child)
