"""Running migrations, one after another, each recorded before and after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from monarch.databases.history import (
    Action,
    AttemptStart,
    HistoryWriter,
    Positions,
    Record,
)
from monarch.errors import (
    DeadlineReached,
    LeaseLost,
    RunInterrupted,
)
from monarch.migrations.execution import Execution, MigrationFailed, MigrationResult, RunContext
from monarch.migrations.files.classes import Loaded
from monarch.migrations.files.find import MigrationFile
from monarch.migrations.output_capture import capture_output
from monarch.migrations.plan import PlannedMigration

if TYPE_CHECKING:
    from monarch.databases.base import MigrationClient

# Of a transaction that conflicts with others.
_TRIES = 4


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
        name = self._run.environment.label
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
                transient = cause is not None and self._client.is_transient(cause)
                if not transient or not error.was_undone or tries == _TRIES:
                    raise
                self._run.progress.message(
                    f"{file.key} was undone because of a conflict with another transaction: trying it again"
                )
                action = action if action is Action.ROLLBACK else Action.RETRY
        raise AssertionError("unreachable")

    def _run_once(self, file: MigrationFile, loaded: Loaded, start: AttemptStart) -> MigrationResult:
        name, progress = self._run.environment.label, self._run.progress
        began = time.monotonic()
        self._client.reset()
        with capture_output(progress.printing) as output, ExitStack() as stack:
            transaction = stack.enter_context(self._client.transaction()) if loaded.kind.transaction else None
            attempt = self._writer.begin(start, transaction)
            written = self._client.written  # without what `begin` wrote in the transaction
            one = Execution(
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
                raise one.failure(error) from error
            result, signalled = one.complete()
        progress.finished(result.key, result.seconds, result.documents, result.echoed)
        left = self._client.describe_leftovers() if transaction is None else None
        if left is not None:
            progress.message(left)
        if signalled:
            rolled_back = start.action is Action.ROLLBACK
            what = "rolled back" if rolled_back else "done"
            interrupted = RunInterrupted(
                f"Interrupted. {file.key} is {what} on {name!r}; nothing ran after it.",
                None if rolled_back else f"To continue: monarch migrate {name}",
            )
            interrupted.result = result
            raise interrupted
        return result

    def _start(
        self, file: MigrationFile, loaded: Loaded, action: Action, seen: Record | None
    ) -> AttemptStart:
        repeats = True if loaded.kind.repeatable else (False if seen and seen.repeats else None)
        # For a retry, the backup from before the first attempt, or none: a later one has its changes.
        unfinished = seen.attempt if seen is not None else None
        backup = self._run.backup if unfinished is None else unfinished.backup
        positions = _positions(seen, action, loaded.checksum)
        return AttemptStart(file.key, action, loaded.checksum, self._run.origin, repeats, backup, positions)


def _positions(seen: Record | None, action: Action, checksum: str) -> Positions:
    """How far the scans of an earlier attempt came, if it did the same with the same file."""
    attempt = seen.attempt if seen is not None else None
    if attempt is None or attempt.checksum != checksum:
        return {}
    return attempt.positions if (attempt.action is Action.ROLLBACK) == (action is Action.ROLLBACK) else {}
