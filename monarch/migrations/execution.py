"""One migration that runs, from the call of its `run` to the record of how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.databases.environment import Environment
from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    OpenAttempt,
)
from monarch.databases.migration import Migration
from monarch.errors import (
    LeaseLost,
    MigrationError,
    MonarchError,
    NotCommitted,
    RunInterrupted,
    UsageError,
)
from monarch.migrations.collection_scan import CollectionScans
from monarch.migrations.files.find import MigrationFile
from monarch.migrations.output_capture import OutputCapture
from monarch.migrations.unfinished import way_back, ways_on
from monarch.progress import Progress
from monarch.system.ci import Origin
from monarch.system.forks import only_this_process
from monarch.system.modules import importable
from monarch.system.secrets import redact
from monarch.system.signals import defer_signals
from monarch.system.tracebacks import describe_error_in, error_line, format_traceback

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient, Transaction

# Characters of a long traceback that are kept of its beginning, and of its end.
_ENDS = 50_000


@dataclass(frozen=True)
class MigrationResult:
    """A migration that has run: how long it took, the documents that it wrote, and what it printed.

    ``elsewhere`` are other databases that it, or one before it in the same run, has written to.
    """

    key: str
    seconds: float
    documents: int = 0
    echoed: str = ""
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunContext:
    """What all migrations of a run share.

    ``backup`` was taken before the run. After ``deadline``, by the clock of `time.monotonic`, no migration
    begins.
    """

    root: Path
    environment: Environment
    origin: Origin
    progress: Progress
    backup: str | None = None
    deadline: float | None = None


class MigrationFailed(MigrationError):
    """A migration did not complete, for a ``reason``: in which ``file``, and in which ``line`` of it.

    ``was_undone`` is whether it is known that a transaction has undone all of it.
    """

    def __init__(
        self,
        message: str,
        hint: str | None,
        reason: str,
        file: MigrationFile,
        line: int | None,
        was_undone: bool,
    ) -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.file = file
        self.line = line
        self.was_undone = was_undone


class TransactionEnded(UsageError):
    """A migration has ended its transaction itself."""

    def __init__(self) -> None:
        super().__init__(
            "it has ended its transaction itself, and what it did before may be committed",
            "Check what it did. Leave the commit to monarch, or set `transaction = False`.",
        )


@dataclass(frozen=True)
class Execution:
    """One migration that runs since ``began``, when ``written`` documents had been written before it."""

    run: RunContext
    client: MigrationClient
    file: MigrationFile
    start: AttemptStart
    attempt: OpenAttempt
    transaction: Transaction | None
    output: OutputCapture
    began: float
    written: int

    def call(self, kind: type[Migration]) -> None:
        """Call its ``run`` or ``rollback``."""
        progress, transaction = self.run.progress, self.transaction
        with importable(self.run.root), only_this_process():
            migration = kind()
            migration.environment = self.run.environment
            handles = {**self.client.handles, **(transaction.handles if transaction else {})}
            for name, value in handles.items():
                setattr(migration, name, value)
            positions = self.start.positions
            migration._scans = CollectionScans(self.client, self.attempt, transaction, positions, progress)
            self.client.prepare(migration, transaction)
            if self.start.action is Action.ROLLBACK:
                migration.rollback()
            else:
                migration.run()
        if transaction is not None and not transaction.is_open:
            raise TransactionEnded
        if transaction is None and not self.client.is_settled:
            raise RuntimeError("it has left a transaction open: commit what it should keep")
        if progress.must_stop():
            raise KeyboardInterrupt("swallowed by the migration")

    def complete(self) -> tuple[MigrationResult, bool]:
        """Record that it completed; no signal stops that. Return the result, and whether a signal came."""
        key, name, stats = self.file.key, self.run.environment.label, self._stats()
        try:
            with defer_signals() as signals:
                self.attempt.complete(stats, self.transaction)
        except MonarchError as error:
            if isinstance(error, LeaseLost) and self.transaction is not None:
                raise LeaseLost(f"{key} was undone on {name!r}: {error.message}", error.hint) from error
            if isinstance(error, NotCommitted):
                self.record_failure(error)
                message = f"{key} could not be committed on {name!r}, and was undone: {error.message}"
                hint = self.ways_on()
                raise MigrationFailed(message, hint, error.message, self.file, None, True) from error
            raise type(error)(
                f"{key} has run to its end on {name!r}, but that could not be recorded: {error.message}",
                f"Check what it did before you run it a second time, and what is recorded: "
                f"monarch list_migrations {name}",
            ) from error
        elsewhere = tuple(sorted(self.client.written_elsewhere))
        return MigrationResult(key, stats.seconds, stats.documents, stats.echoed, elsewhere), bool(signals)

    def record_failure(self, error: BaseException, *, interrupted: bool = False) -> None:
        """Record that it ended with ``error``."""
        story = _storable(format_traceback(error, self.client.describe_error))
        reason = self._reason(error)
        stats = self._stats()
        if self._was_undone(error):
            stats = replace(stats, documents=0)
        try:
            self.attempt.fail(Failure(_storable(reason), story, interrupted), stats)
        except MonarchError as unrecorded:
            kind = RunInterrupted if interrupted else MigrationError
            raise kind(
                f"{self.file.key} failed: {reason}; and that could not be recorded: {unrecorded.message}",
                f"It is left in Processing. Make sure that the server is available. {self.ways_on()}",
            ) from error

    def failure(self, error: BaseException) -> MigrationFailed:
        """Record that it ended with ``error``; return that for people."""
        self.record_failure(error)
        reason, undone = self._reason(error), self._was_undone(error)
        message = f"{self.file.key} failed on {self.run.environment.label!r}: {reason}"
        hints = [error.hint] if isinstance(error, UsageError) else []
        if self.transaction is not None and not undone and not isinstance(error, TransactionEnded):
            hints.append(TransactionEnded().hint)
        hint = " ".join(filter(None, [*hints, self.ways_on()]))
        line = error_line(self.file.path, error)
        return MigrationFailed(message, hint, reason, self.file, line, undone)

    def _reason(self, error: BaseException) -> str:
        """Return ``error`` in one line, with the line of the migration."""
        reason = describe_error_in(self.file.path, error, self._describe, shown=self.file.shown_path)
        more = None
        if self.transaction is None:
            more = self.client.describe_leftovers()
        elif not self._was_undone(error) and not isinstance(error, TransactionEnded):
            more = TransactionEnded().message
        return f"{reason}; {more}" if more else reason

    def _describe(self, error: BaseException) -> str | None:
        return error.message if isinstance(error, MonarchError) else self.client.describe_error(error)

    def _was_undone(self, error: BaseException) -> bool:
        """Whether its transaction has undone, or will undo, all that it did before ``error``."""
        if self.transaction is None or isinstance(error, TransactionEnded):
            return False
        return isinstance(error, NotCommitted) or not self.transaction.was_ended

    def continues(self) -> str:
        """The hint after it was interrupted."""
        name = self.run.environment.label
        if self.start.action is Action.ROLLBACK:
            return f"To continue: monarch rollback {name} {self.file.key}"
        return f"To continue: monarch migrate {name} --retry"

    def ways_on(self) -> str:
        """The hint after it did not complete."""
        name = self.run.environment.label
        if self.start.action is Action.ROLLBACK:
            return f"Fix it, then run `monarch rollback {name} {self.file.key}`."
        return ways_on(self.file.key, name) + way_back(self.start.backup, name)

    def _stats(self) -> AttemptStats:
        seconds = round(time.monotonic() - self.began, 3)
        echoed = _storable(redact(self.output.text))
        return AttemptStats(seconds, self.client.written - self.written, echoed)


def _storable(text: str) -> str:
    """``text`` as a database accepts it: without lone surrogates, and shortened if it is very long."""
    if len(text) > 2 * _ENDS:
        text = f"{text[:_ENDS]}\n[…]\n{text[-_ENDS:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
