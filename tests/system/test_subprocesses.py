"""The last words of a program: what it has said before it ended is heard, however late monarch reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from monarch.system.subprocesses import Tool


@contextmanager
def run_tool(script: str) -> Iterator[Tool]:
    """Run a shell script whose messages are read slowly."""

    def message_of(line: str) -> str:
        time.sleep(0.3)
        return line

    tool = Tool(
        ["sh", "-c", script],
        secrets={},
        texts={},
        takes_input=True,
        hear=lambda line: None,
        alive=lambda: None,
        message_of=message_of,
        is_error=lambda line: "ERROR" in line,
    )
    try:
        yield tool
    finally:
        tool.stop()


def test_the_last_words_of_what_has_ended_are_heard() -> None:
    with run_tool("echo first >&2; echo 'ERROR: full' >&2; exit 3") as tool:
        assert tool.ended() == 3
        assert tool.last_words() == "ERROR: full"


def test_the_last_words_of_what_was_killed_are_heard() -> None:
    with run_tool("echo 'ERROR: full' >&2; kill -9 $$") as tool:
        assert tool.killed_by() == "SIGKILL"
        assert tool.last_words() == "ERROR: full"


def test_what_goes_on_has_not_ended() -> None:
    with run_tool("read line") as tool:
        assert tool.ended() is None
        assert tool.killed_by() is None
