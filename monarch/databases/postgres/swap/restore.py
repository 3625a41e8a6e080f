"""Running pg_restore on an archive that is still being read.

It runs twice. The first writes tables and their rows, as they come. The second creates the indexes and
constraints, where it is safe two at a time: it needs the table of contents only, which was kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence

from monarch.databases.environment import Environment
from monarch.databases.postgres.archive.contents import read_contents
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.sources.base import Expected, OpenDump
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import TRANSACTION_TIMEOUT, Tools
from monarch.databases.postgres.tools.process import failure, start_tool
from monarch.errors import DamagedError
from monarch.progress import Progress
from monarch.system.subprocesses import Tool

_BYTES = 1 << 20
_ROWS = "processing data for table "
_JOBS = 2
# The database is not used before it is complete, and the swap makes the server write all of it to the disk.
# What is written early need not be waited for then.
_SETTINGS = "-c synchronous_commit=off -c backend_flush_after=512kB -c maintenance_work_mem=128MB"
# It waits as long as the source is slow. Older servers do not know the parameter.
_WAITING, _MAY_WAIT = " -c idle_session_timeout=0", 140_000
# Whatever the language of the server is.
_UNKNOWN = '"transaction_timeout"'


class Restoring:
    """Writes an archive into the empty ``database`` on the server of ``session``.

    ``arguments`` are those of every pg_restore. ``alive`` is called while it works; an exception ends it.
    """

    def __init__(
        self,
        tools: Tools,
        environment: Environment,
        session: Session,
        database: str,
        arguments: Sequence[str],
        alive: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._tools = tools
        self._environment = environment
        self._session = session
        self._database = database
        self._arguments = arguments
        self._alive = alive
        self._progress = progress
        self._contents = b""
        self._jobs = 1
        self.clock = TableClock(_ROWS)

    def write_rows(self, dump: OpenDump) -> Expected:
        """Write the tables of ``dump`` with their rows; return what was to arrive.

        :raises ServerError: if pg_restore fails. What was written stays.
        """
        buffered = BufferedDump(dump)
        try:
            contents = read_contents(buffered)
        except DamagedError:
            while buffered.read(_BYTES):
                pass
            buffered.finish()  # a pg_dump that failed says why
            raise
        self._contents = contents.raw
        # Two sessions that attach indexes of partitions at once may both leave the index above invalid:
        # neither sees what the other one has done.
        self._jobs = 1 if contents.attaches_indexes else _JOBS
        return self._write(self._contents, buffered)

    def create_indexes(self) -> None:
        """Create what tables have beside their rows, and refresh materialized views.

        :raises ServerError: if pg_restore fails. What was written stays.
        """
        self._progress.phase("indexing")
        # It has no name, so that nothing is left of it if monarch is killed.
        with tempfile.TemporaryFile() as file:
            file.write(self._contents)
            file.seek(0)
            number = file.fileno()
            self._run_alone(
                ["--section=post-data", f"--jobs={self._jobs}", f"/dev/fd/{number}"], inherited=[number]
            )

    def _write(self, head: bytes, dump: BufferedDump) -> Expected:
        tool, problems = self._start(["--section=pre-data", "--section=data"])
        try:
            expected = None
            try:
                data = head
                while data and not problems.found:
                    self._alive()
                    self._progress.transferred(0, len(data))
                    tool.write(data)
                    data = dump.read(_BYTES)
                expected = None if problems.found else dump.finish()
                tool.close()
            except BrokenPipeError:
                expected = None
            self._check(tool, problems)
            if expected is None:
                raise failure(tool, self._environment, "write into")
            return expected
        finally:
            tool.stop()

    def _run_alone(self, arguments: Sequence[str], inherited: Sequence[int]) -> None:
        tool, problems = self._start(arguments, inherited)
        try:
            tool.close()
            self._check(tool, problems)
        finally:
            tool.stop()

    def _start(self, arguments: Sequence[str], inherited: Sequence[int] = ()) -> tuple[Tool, Problems]:
        connection = self._session.open()
        problems = Problems(connection.info.server_version // 10_000)

        def hear(line: str) -> None:
            self.clock.hear(line)
            problems.hear(line)

        # pg_restore sets a parameter that old servers do not know, and would end there.
        strict = [] if problems.may_be_ignored(self._tools) else ["--exit-on-error"]
        tool = start_tool(
            self._tools,
            "pg_restore",
            self._environment,
            connection,
            ["--verbose", *strict, *self._arguments, *arguments],
            takes_input=True,
            database=self._database,
            settings=_SETTINGS + (_WAITING if connection.info.server_version >= _MAY_WAIT else ""),
            inherited=inherited,
            hear=hear,
            alive=self._alive,
        )
        return tool, problems

    def _check(self, tool: Tool, problems: Problems) -> None:
        code = tool.wait()
        if problems.found or (code != 0 and not problems.ignored):
            raise failure(tool, self._environment, "write into")


class BufferedDump:
    """A dump of which a few bytes can be read at a time, cheaply."""

    def __init__(self, dump: OpenDump) -> None:
        self._dump = dump
        self._buffer = memoryview(b"")
        self.finish = dump.finish

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; b"" after its end."""
        if not self._buffer:
            self._buffer = memoryview(self._dump.read(_BYTES))
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return bytes(data)


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
        if self._is_old and _UNKNOWN in line:
            self.ignored = True
        else:
            self.found = True
