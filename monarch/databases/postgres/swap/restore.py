"""Running pg_restore on an archive that is still being read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection
from monarch.databases.postgres.sources.base import Expected, OpenDump
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import TRANSACTION_TIMEOUT, Tools
from monarch.databases.postgres.tools.process import failure, start_tool
from monarch.progress import Progress

_BYTES = 1 << 20
_ROWS = "processing data for table "
# The database is not used before it is complete, and the swap makes the server write all of it to the disk.
_SETTINGS = "-c synchronous_commit=off"
_UNKNOWN = 'unrecognized configuration parameter "transaction_timeout"'


def restore(
    dump: OpenDump,
    tools: Tools,
    environment: Environment,
    connection: Connection,
    database: str,
    arguments: Sequence[str],
    alive: Callable[[], None],
    progress: Progress,
) -> tuple[Expected, TableClock]:
    """Write ``dump`` into the empty ``database`` on the server of ``connection``; return what was to arrive.

    :raises ServerError: if pg_restore fails. What was written stays.
    """
    clock, problems = TableClock(_ROWS), Problems(connection.info.server_version // 10_000)

    def hear(line: str) -> None:
        clock.hear(line)
        problems.hear(line)

    # pg_restore sets a parameter that old servers do not know, and would end there.
    strict = [] if problems.may_be_ignored(tools) else ["--exit-on-error"]
    tool = start_tool(
        tools,
        "pg_restore",
        environment,
        connection,
        ["--verbose", *strict, *arguments],
        takes_input=True,
        database=database,
        settings=_SETTINGS,
        hear=hear,
        alive=alive,
    )
    try:
        try:
            while (data := dump.read(_BYTES)) and not problems.found:
                alive()
                progress.transferred(0, len(data))
                tool.write(data)
            expected = None if problems.found else dump.finish()
            tool.close()
        except BrokenPipeError:
            expected = None
        code = tool.wait()
        if expected is None or problems.found or (code != 0 and not problems.ignored):
            raise failure(tool, environment, "write into")
        return expected, clock
    finally:
        tool.stop()


class Problems:
    """The errors that a pg_restore reports, for a server of version ``major``."""

    def __init__(self, major: int) -> None:
        self._is_old = major < TRANSACTION_TIMEOUT
        self.found = False
        self.ignored = False

    def may_be_ignored(self, tools: Tools) -> bool:
        """Whether ``tools`` report an error on this server that is none."""
        return self._is_old and tools.major >= TRANSACTION_TIMEOUT

    def hear(self, line: str) -> None:
        """Take one line of its output."""
        if not line.startswith("pg_restore: error: "):
            return
        if self._is_old and _UNKNOWN in line and not self.ignored:
            self.ignored = True
        else:
            self.found = True
