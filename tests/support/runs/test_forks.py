"""A fork behaves like a new Python process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.runs.forks import Forks, can_replace
from tests.support.runs.shell import MONARCH, Folder

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks are used on Linux only"),
    pytest.mark.skipif("COVERAGE_PROCESS_CONFIG" in os.environ, reason="forks are not measured"),
]

SETTINGS = """
import os, sys

print(__name__, sys.argv, sys.path[0], os.getcwd(), "VARIABLE" in os.environ)
print(sys.modules["__main__"].__spec__.name, sys.modules["__main__"].__package__)
print(sorted(name for name in os.listdir("/proc/self/fd") if int(name) < 3), file=sys.stderr)
ENVIRONMENTS = {"dev": {"host": "localhost", "db_name": "dev"}}
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    started = Forks()
    yield started
    started.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("list_environments",),
        ("list_environments", "--json"),
        ("no_such",),
        ("check", "no_such"),
    ],
)
def test_a_fork_is_like_a_process(forks: Forks, folder: Folder, arguments: tuple[str, ...]) -> None:
    folder.write("migrations/settings.py", SETTINGS)
    environ = {**os.environ, "VARIABLE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    assert can_replace(environ)
    expected = subprocess.run(
        [*MONARCH, *arguments],
        cwd=folder.path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    ran = forks.run(arguments, folder.path, environ, 60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_a_fork_is_killed_after_its_timeout(forks: Forks, folder: Folder) -> None:
    folder.write("migrations/settings.py", "import time\ntime.sleep(600)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        forks.run(("list_environments",), folder.path, os.environ, 1)
    assert forks.run(("--version",), folder.path, os.environ, 60).returncode == 0


def test_the_exit_code_of_a_killed_fork_is_its_signal(forks: Forks, folder: Folder) -> None:
    folder.write("migrations/settings.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert forks.run(("list_environments",), folder.path, os.environ, 60).returncode == -9


@pytest.mark.parametrize("name", ["PYTHONPATH", "LC_ALL", "TZ", "LD_PRELOAD", "COVERAGE_PROCESS_CONFIG"])
def test_a_variable_that_is_read_at_the_start_needs_a_new_process(name: str) -> None:
    assert not can_replace({**os.environ, name: "other"})


def test_a_missing_variable_is_a_change() -> None:
    assert not can_replace({name: value for name, value in os.environ.items() if name != "LANG"})
    assert can_replace({name: value for name, value in os.environ.items() if name != "HOME"})
