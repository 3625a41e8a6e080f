"""Running migrations, one after another, each recorded before and after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.databases.environment import Environment
from monarch.databases.history import (
    Action,
    AttemptStart,
    AttemptStats,
    Failure,
    HistoryWriter,
    OpenAttempt,
    Positions,
    Record,
)
from monarch.databases.migration import Migration
from monarch.errors import (
    DeadlineReached,
    LeaseLost,
    MigrationError,
    MonarchError,
    NotCommitted,
    RunInterrupted,
)
from monarch.migrations.collection_scan import CollectionScans
from monarch.migrations.files import Loaded, MigrationFile
from monarch.migrations.output_capture import OutputCapture, capture_output
from monarch.migrations.plan import PlannedMigration, way_back, ways_on
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
# Of a transaction that conflicts with others.
_TRIES = 4


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
    """A migration did not complete, for a ``reason``: in which ``file``, and in which ``line`` of it."""

    def __init__(
        self, message: str, hint: str | None, reason: str, file: MigrationFile, line: int | None
    ) -> None:
        super().__init__(message, hint)
        self.reason = reason
        self.file = file
        self.line = line


class Executor:
    """Runs migrations on one database, through ``client``, and has ``writer`` record them."""

    def __init__(self, run: RunContext, writer: HistoryWriter, client: MigrationClient) -> None:
        self._run = run
        self._writer = writer
        self._client = client

    def run(
        self, steps: tuple[PlannedMigration, ...], loaded: Mapping[str, Loaded]
    ) -> tuple[MigrationResult, ...]:
        """Run ``steps``, which `load_all` has ``loaded``, in their order.

        :raises LockedError: if another run has taken over; nothing was recorded since.
        :raises MigrationError: if one fails; the later ones are not begun.
        :raises DeadlineReached: if there is no time for the next one.
        :raises RunInterrupted: on Ctrl-C or a signal, once that is recorded.
        """
        name = self._run.environment.name
        self._run.progress.planned(name, tuple(step.key for step in steps))
        done: list[MigrationResult] = []
        for step in steps:
            if self._run.progress.must_stop():  # a signal, which the migration before swallowed
                raise KeyboardInterrupt
            if self._run.deadline is not None and time.monotonic() >= self._run.deadline:
                retry = " --retry" if step.action is Action.RETRY else ""
                raise DeadlineReached(
                    f"The deadline was reached: {len(done)} of {len(steps)} migrations are done on "
                    f"{name!r}; {step.key} is the next.",
                    f"To continue: monarch migrate {name}{retry}",
                )
            done.append(self.run_one(step.file, loaded[step.key], step.action, step.seen))
        return tuple(done)

    def run_one(
        self, file: MigrationFile, loaded: Loaded, action: Action, seen: Record | None
    ) -> MigrationResult:
        """Run one migration, or roll it back. ``seen`` is its record. Raises what `run` does.

        A transaction that the server has undone because of another one is tried again, a few times.
        """
        self._writer.check()
        self._run.progress.started(file.key)
        for tries in range(1, _TRIES + 1):
            try:
                return self._run_once(file, loaded, self._start(file, loaded, action, seen))
            except MigrationFailed as error:
                cause = error.__cause__
                transient = loaded.kind.transaction and cause and self._client.is_transient(cause)
                if not transient or tries == _TRIES:
                    raise
                self._run.progress.message(
                    f"{file.key} was undone because of a conflict with another transaction: trying it again"
                )
                action = action if action is Action.ROLLBACK else Action.RETRY
        raise AssertionError("unreachable")

    def _run_once(self, file: MigrationFile, loaded: Loaded, start: AttemptStart) -> MigrationResult:
        name, progress = self._run.environment.name, self._run.progress
        began = time.monotonic()
        with capture_output() as output, ExitStack() as stack:
            transaction = stack.enter_context(self._client.transaction()) if loaded.kind.transaction else None
            attempt = self._writer.begin(start, transaction)
            written = self._client.written  # without what `begin` wrote in the transaction
            one = _Execution(
                self._run, self._client, file, start, attempt, transaction, output, began, written
            )
            try:
                one.call(loaded.kind)
            except KeyboardInterrupt as error:
                one.record_failure(error, interrupted=True)
                raise RunInterrupted(
                    f"{file.key} was interrupted on {name!r}, and recorded as interrupted.", one.continues()
                ) from error
            except LeaseLost:
                raise  # the run that has the lease now decides
            except BaseException as error:
                # SystemExit too: a migration that calls `exit(0)` half way has not completed.
                one.record_failure(error)
                reason = one.reason(error)
                message = f"{file.key} failed on {name!r}: {reason}"
                line = error_line(file.path, error)
                raise MigrationFailed(message, one.ways_on(), reason, file, line) from error
            result, signalled = one.complete()
        progress.finished(result.key, result.seconds, result.documents, result.echoed)
        if signalled:
            raise RunInterrupted(
                f"Interrupted. {file.key} is done on {name!r}; nothing ran after it.",
                f"To continue: monarch migrate {name}",
            )
        return result

    def _start(
        self, file: MigrationFile, loaded: Loaded, action: Action, seen: Record | None
    ) -> AttemptStart:
        repeats = True if loaded.kind.repeatable else (False if seen and seen.repeats else None)
        # For a retry, the backup from before the first attempt: a later one has its changes.
        first = seen.attempt.backup if seen is not None and seen.attempt is not None else None
        backup, positions = first or self._run.backup, _positions(seen, action, loaded.checksum)
        return AttemptStart(file.key, action, loaded.checksum, self._run.origin, repeats, backup, positions)


@dataclass(frozen=True)
class _Execution:
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
            if self.start.action is Action.ROLLBACK:
                migration.rollback()
            else:
                migration.run()
        if transaction is not None and not transaction.is_open:
            raise RuntimeError(
                "it has ended its transaction itself: leave the commit to monarch, and raise to abort"
            )
        if progress.must_stop():
            raise KeyboardInterrupt("swallowed by the migration")

    def complete(self) -> tuple[MigrationResult, bool]:
        """Record that it completed; no signal stops that. Return the result, and whether a signal came."""
        key, name, stats = self.file.key, self.run.environment.name, self._stats()
        try:
            with defer_signals() as signals:
                self.attempt.complete(stats, self.transaction)
        except MonarchError as error:
            if isinstance(error, LeaseLost) and self.transaction is not None:
                raise LeaseLost(f"{key} was undone on {name!r}: {error.message}", error.hint) from error
            if isinstance(error, NotCommitted):
                self.record_failure(error)
                message = f"{key} could not be committed on {name!r}, and was undone: {error.message}"
                raise MigrationFailed(message, self.ways_on(), error.message, self.file, None) from error
            raise type(error)(
                f"{key} has run to its end on {name!r}, but that could not be recorded: {error.message}",
                f"Check what it did before you run it a second time, and what is recorded: "
                f"monarch list_migrations {name}",
            ) from error
        elsewhere = tuple(sorted(self.client.written_elsewhere))
        return MigrationResult(key, stats.seconds, stats.documents, stats.echoed, elsewhere), bool(signals)

    def record_failure(self, error: BaseException, *, interrupted: bool = False) -> None:
        """Record that it ended with ``error``."""
        story = _storable(self._story(error))
        reason = self.reason(error)
        stats = self._stats()
        if self.transaction is not None:  # everything was undone
            stats = replace(stats, documents=0)
        try:
            self.attempt.fail(Failure(_storable(reason), story, interrupted), stats)
        except MonarchError as unrecorded:
            kind = RunInterrupted if interrupted else MigrationError
            raise kind(
                f"{self.file.key} failed: {reason}; and that could not be recorded: {unrecorded.message}",
                f"It is left in Processing. Make sure that the server is available. {self.ways_on()}",
            ) from error

    def reason(self, error: BaseException) -> str:
        """Return ``error`` in one line, with the line of the migration."""
        return describe_error_in(self.file.path, error, self.client.describe_error(error))

    def _story(self, error: BaseException) -> str:
        """Return the whole traceback, with the reasons that the database gives instead of documents."""
        story, seen = format_traceback(error), set()
        one: BaseException | None = error
        while one is not None and id(one) not in seen:
            seen.add(id(one))
            reason = self.client.describe_error(one)
            if reason is not None:
                story = story.replace(redact(str(one)), reason)
            one = one.__cause__ or one.__context__
        return story

    def continues(self) -> str:
        """The hint after it was interrupted."""
        name = self.run.environment.name
        if self.start.action is Action.ROLLBACK:
            return f"To continue: monarch rollback {name} {self.file.key}"
        return f"To continue: monarch migrate {name} --retry"

    def ways_on(self) -> str:
        """The hint after it did not complete."""
        name = self.run.environment.name
        if self.start.action is Action.ROLLBACK:
            return f"Fix it, then run `monarch rollback {name} {self.file.key}`."
        return ways_on(self.file.key, name) + way_back(self.start.backup, name)

    def _stats(self) -> AttemptStats:
        seconds = round(time.monotonic() - self.began, 3)
        echoed = _storable(redact(self.output.text))
        return AttemptStats(seconds, self.client.written - self.written, echoed)


def _positions(seen: Record | None, action: Action, checksum: str) -> Positions:
    """How far the scans of an earlier attempt came, if it did the same with the same file."""
    attempt = seen.attempt if seen is not None else None
    if attempt is None or attempt.checksum != checksum:
        return {}
    return attempt.positions if (attempt.action is Action.ROLLBACK) == (action is Action.ROLLBACK) else {}


def _storable(text: str) -> str:
    """``text`` as a database accepts it: without lone surrogates, and shortened if it is very long."""
    if len(text) > 2 * _ENDS:
        text = f"{text[:_ENDS]}\n[…]\n{text[-_ENDS:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
