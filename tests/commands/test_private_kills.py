"""A masked copy that ends in the middle, while other processes mask: nothing of it stays."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.support.runs.two_environments import TwoEnvironments, entry

pytestmark = pytest.mark.server

# Slow enough to be interrupted, and more than is masked in the process of the command itself.
RULES = """
    import time

    from monarch.privacy import Masks, full_name

    masks = Masks()

    @masks.of('users')
    def users(document):
        time.sleep(0.03)
        document['name'] = full_name()(document['name'])
        return document
"""
NUMBER, SIZE = 150, 200_000
_SECONDS = 60


@pytest.fixture
def slow(two: TwoEnvironments) -> TwoEnvironments:
    two.source.client.drop_database(two.source.name)
    two.source.users.insert_many(
        {"_id": number, "name": "Ottilie Zwackelmann", "file": b"x" * SIZE} for number in range(NUMBER)
    )
    two.folder.settings(
        production=entry(two.server, two.source.name, protected=False, private=True),
        dev=entry(two.server, two.target.name, protected=False),
    )
    two.folder.write("migrations/privacy.py", RULES)
    return two


def helpers_of(pid: int) -> set[int]:
    """Return the processes that mask for the process ``pid``."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            status = (process / "stat").read_text().rpartition(")")[2].split()
            arguments = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"masking" in arguments and int(status[1]) == pid and status[0] != "Z":
            found.add(int(process.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_that_mask_end_with_the_command(slow: TwoEnvironments, ending: signal.Signals) -> None:
    running = slow.folder.start("copy_db", "production:dev", "--yes", "--engine", "native")
    deadline = time.monotonic() + _SECONDS
    while not (helpers := helpers_of(running.pid)):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.send_signal(ending)
    _, err = running.communicate(timeout=_SECONDS)
    while any(map(is_running, helpers)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert slow.target.users.find_one() == {"_id": "old"}
    written = [name for name in slow.target.list_collection_names() if name.startswith("monarch_staging")]
    for name in written:
        assert slow.target[name].count_documents({"name": "Ottilie Zwackelmann"}) == 0
    if ending is not signal.SIGKILL:
        assert running.returncode == 130
        assert err == "Error: Interrupted. 'dev' is as it was.\n"
        assert written == []
