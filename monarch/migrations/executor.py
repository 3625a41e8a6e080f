"""Running migrations, one after the other, each recorded before and after."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
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
    Places,
    Record,
)
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
from monarch.migrations.migration import Migration
from monarch.migrations.output_capture import OutputCapture, heard
from monarch.migrations.plan import PlannedMigration, way_back, ways_on
from monarch.progress import Progress
from monarch.system.ci import Origin
from monarch.system.modules import describe, importable, line_in
from monarch.system.secrets import redact
from monarch.system.signals import run_to_its_end

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient, Transaction

# So many characters of a long traceback are kept at its beginning, and as many at its end.
_STORY_ENDS = 50_000


@dataclass(frozen=True)
class MigrationResult:
    """A migration that has run: how long it took, the documents it has written, and what it printed."""

    key: str
    seconds: float
    documents: int = 0
    echoed: str = ""


@dataclass(frozen=True)
class RunContext:
    """What is the same for all migrations of a run.

    ``backup`` was taken before it. After ``deadline``, by the clock of `time.monotonic`, no other migration
    begins.
    """

    root: Path
    environment: Environment
    origin: Origin
    progress: Progress
    backup: str | None = None
    deadline: float | None = None


class Executor:
    """Runs migrations on one database, through ``work``, and has them recorded."""

    def __init__(self, run: RunContext, recorder: HistoryWriter, work: MigrationClient) -> None:
        self._run = run
        self._recorder = recorder
        self._work = work

    def run(
        self, steps: tuple[PlannedMigration, ...], loaded: Mapping[str, Loaded]
    ) -> tuple[MigrationResult, ...]:
        """Run ``steps``, ``loaded`` by `load_all`, in their order.

        :raises LockedError: if another run has taken over; nothing was recorded since.
        :raises MigrationError: if one fails; those behind it are not touched.
        :raises DeadlineReached: if there is no time for the next one.
        :raises RunInterrupted: on Ctrl-C or a signal, once that is recorded.
        """
        self._run.progress.planned(self._run.environment.name, tuple(step.key for step in steps))
        done: list[MigrationResult] = []
        for step in steps:
            if self._run.progress.must_stop():  # a signal, swallowed by what ran before
                raise KeyboardInterrupt
            if self._run.deadline is not None and time.monotonic() >= self._run.deadline:
                raise DeadlineReached(
                    f"The deadline came: {len(done)} of {len(steps)} migrations are done on "
                    f"{self._run.environment.name!r}; {step.key} is the next.",
                    f"To go on: monarch migrate {self._run.environment.name}"
                    f"{' --retry' if step.action is Action.RETRY else ''}",
                )
            done.append(self.run_one(step.file, loaded[step.key], step.action, step.seen))
        return tuple(done)

    def run_one(
        self, file: MigrationFile, loaded: Loaded, action: Action, seen: Record | None
    ) -> MigrationResult:
        """Run one of them, or roll it back, whatever was ``seen`` of it. Raises what `run` does."""
        self._recorder.check()
        self._run.progress.started(file.key)
        places = _places(seen, action, loaded.checksum)
        backup = _first_backup(seen, self._run.backup)
        repeats = True if loaded.kind.repeatable else (False if seen and seen.repeats else None)
        begun = AttemptStart(file.key, action, loaded.checksum, self._run.origin, repeats, backup, places)
        now, written, atomic = time.monotonic(), self._work.written, loaded.kind.transaction
        one = _One(self._run, self._work, file, action, backup, atomic, now, written)
        with heard() as echo, one.transaction(loaded.kind) as transaction:
            attempt = self._recorder.begin(begun, transaction)
            try:
                one.call(loaded.kind, attempt, places, transaction)
            except KeyboardInterrupt as error:
                one.record(attempt, error, echo, interrupted=True)
                raise RunInterrupted(
                    f"{file.key} was interrupted on {self._run.environment.name!r}, and is recorded as that.",
                    one.ways_on(),
                ) from error
            except LeaseLost:
                raise  # whoever has the lease now decides
            except BaseException as error:
                # SystemExit too: a migration that says `exit(0)` half way has not completed.
                one.record(attempt, error, echo)
                raise MigrationFailed(
                    f"{file.key} failed on {self._run.environment.name!r}: {describe(file.path, error)}",
                    one.ways_on(),
                    file,
                    line_in(file.path, error),
                ) from error
            signalled = one.complete(attempt, echo, transaction)
        done = MigrationResult(file.key, one.seconds(), one.documents(), one.effort(echo).echoed)
        self._run.progress.finished(done.key, done.seconds, done.documents, done.echoed)
        if signalled:
            raise RunInterrupted(
                f"Interrupted. {file.key} is done on {self._run.environment.name!r}; nothing ran after it.",
                f"To go on: monarch migrate {self._run.environment.name}",
            )
        return done


class MigrationFailed(MigrationError):
    """A migration has raised: in which file, and where in it."""

    def __init__(self, message: str, hint: str | None, file: MigrationFile, line: int | None) -> None:
        super().__init__(message, hint)
        self.file = file
        self.line = line


@dataclass(frozen=True)
class _One:
    """One migration that runs, from when on, and how many documents had been written before it."""

    shared: RunContext
    work: MigrationClient
    file: MigrationFile
    action: Action
    backup: str | None
    atomic: bool
    began: float
    written: int

    def transaction(self, kind: type[Migration]) -> AbstractContextManager[Transaction | None]:
        """The one that it runs in, if it wants to run in one."""
        return self.work.transaction() if kind.transaction else nullcontext()

    def call(
        self, kind: type[Migration], attempt: OpenAttempt, places: Places, transaction: Transaction | None
    ) -> None:
        """Run it, or roll it back."""
        with importable(self.shared.root):
            migration = kind()
            migration.environment = self.shared.environment
            handles = {**self.work.handles, **(transaction.handles if transaction else {})}
            for name, value in handles.items():
                setattr(migration, name, value)
            migration._walks = CollectionScans(self.work, attempt, transaction, places, self.shared.progress)
            process = os.getpid()
            try:
                if self.action is Action.ROLLBACK:
                    migration.rollback()
                else:
                    migration.run()
            finally:
                if os.getpid() != process:
                    os._exit(0)  # a fork of the migration's: what is to come is not its to do
        if transaction is not None and not transaction.is_open:
            raise RuntimeError(
                "it has ended its transaction itself: leave the commit to monarch, and raise to abort"
            )
        if self.shared.progress.must_stop():
            raise KeyboardInterrupt("swallowed by the migration")

    def complete(self, attempt: OpenAttempt, echo: OutputCapture, transaction: Transaction | None) -> bool:
        """Have its completion recorded, which no signal cuts short: it has run. Whether one came."""
        key, name = self.file.key, self.shared.environment.name
        try:
            return run_to_its_end(lambda: attempt.complete(self.effort(echo), transaction))
        except MonarchError as error:
            if isinstance(error, LeaseLost) and transaction is not None:
                raise LeaseLost(f"{key} was undone on {name!r}: {error.message}", error.hint) from error
            if isinstance(error, NotCommitted):
                self.record(attempt, error, echo)
                raise MigrationFailed(
                    f"{key} could not be committed on {name!r}, and nothing of it happened: {error.message}",
                    self.ways_on(),
                    self.file,
                    None,
                ) from error
            raise type(error)(
                f"{key} has run to its end on {name!r}, but that could not be recorded: {error.message}",
                f"Look what it has done before you run it a second time, and what is recorded: "
                f"monarch list_migrations {name}",
            ) from error

    def record(
        self, attempt: OpenAttempt, error: BaseException, echo: OutputCapture, *, interrupted: bool = False
    ) -> None:
        story = _storable(redact("".join(traceback.format_exception(error))))
        said = describe(self.file.path, error)
        try:
            effort = self.effort(echo)
            if self.atomic:  # nothing of it is there
                effort = replace(effort, documents=0)
            attempt.fail(Failure(_storable(said), story, interrupted), effort)
        except MonarchError as unrecorded:
            kind = RunInterrupted if interrupted else MigrationError
            raise kind(
                f"{self.file.key} failed: {said}; and that could not be recorded: {unrecorded.message}",
                f"It is left in Processing. See that the server is back. {self.ways_on()}",
            ) from error

    def effort(self, echo: OutputCapture) -> AttemptStats:
        return AttemptStats(self.seconds(), self.documents(), _storable(redact(echo.text)))

    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 3)

    def documents(self) -> int:
        return self.work.written - self.written

    def ways_on(self) -> str:
        name = self.shared.environment.name
        if self.action is Action.ROLLBACK:
            return f"Mend it, then `monarch rollback {name} {self.file.key}`."
        return ways_on(self.file.key, name) + way_back(self.backup, name)


def _places(seen: Record | None, action: Action, now: str) -> Places:
    """Where the walks of an earlier attempt came to, if it was at the same with the same file."""
    attempt = seen.attempt if seen is not None else None
    if attempt is None or attempt.checksum != now:
        return {}
    return attempt.places if (attempt.action is Action.ROLLBACK) == (action is Action.ROLLBACK) else {}


def _first_backup(seen: Record | None, now: str | None) -> str | None:
    """The backup from before it was first attempted: one that is taken before a retry has what that left."""
    attempt = seen.attempt if seen is not None else None
    return (attempt.backup if attempt is not None else None) or now


def _storable(text: str) -> str:
    """``text`` as a database takes it: no lone surrogates, and not the megabytes of a bulk write's error."""
    if len(text) > 2 * _STORY_ENDS:
        text = f"{text[:_STORY_ENDS]}\n[…]\n{text[-_STORY_ENDS:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
