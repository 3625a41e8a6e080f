"""The one decision about a state and a journal that do not agree; see the table in the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion

from monarch.databases import history
from monarch.databases.history import Action, MigrationState

# If two runs of monarch 0.1 left two documents of a key, the first of these states counts.
STRONGEST = (MigrationState.COMPLETED, MigrationState.PROCESSING, MigrationState.FAILED, MigrationState.NEW)
NO_ATTEMPTS = tuple(action.value for action in history.NO_ATTEMPTS)
# A date out of Python's range must not keep the rest from being read.
ANY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

# A newer monarch may write other words.
_OUTCOMES = {state.value: state for state in MigrationState if state is not MigrationState.PROCESSING}


@dataclass(frozen=True)
class Reconciled:
    """The true state of a migration and of the last attempt at it.

    ``stored`` is the state that belongs in the history, ``since`` its time. ``outcome`` is how the attempt
    ended; None while it may still run, or if there was none.
    """

    stored: MigrationState
    since: datetime | None
    outcome: MigrationState | None

    @property
    def state(self) -> MigrationState:
        """The state that people see."""
        unfinished = self.stored in (MigrationState.PROCESSING, MigrationState.FAILED)
        if unfinished and self.outcome is MigrationState.INTERRUPTED:
            return MigrationState.INTERRUPTED
        return self.stored


def reconcile(
    state: MigrationState,
    since: datetime | None,
    attempt: Mapping[str, Any] | None,
    *,
    running: bool = False,
) -> Reconciled:
    """Decide what ``state``, written at ``since``, and the last ``attempt`` in the journal mean together.

    ``attempt`` is its entry, None if there is none; ``running`` if its run may still be alive.
    """
    if attempt is None:
        cut_off = state is MigrationState.PROCESSING
        return Reconciled(state, since, MigrationState.INTERRUPTED if cut_off else None)
    outcome = outcome_of(attempt)
    if outcome is None:
        if running:
            return Reconciled(state, since, None)
        completed = state is _goal(attempt) and _is_result(state, since, attempt)
        return Reconciled(state, since, MigrationState.COMPLETED if completed else MigrationState.INTERRUPTED)
    if state is not MigrationState.PROCESSING:
        return Reconciled(state, since, outcome)
    return _after_the_end(since, attempt, outcome)


def outcome_of(entry: Mapping[str, Any]) -> MigrationState | None:
    """The recorded outcome of an entry of the journal; None if it is open."""
    return _OUTCOMES.get(str(entry.get("outcome")))


def _after_the_end(since: datetime | None, attempt: Mapping[str, Any], outcome: MigrationState) -> Reconciled:
    """Reconcile a state of Processing with an attempt that has ended."""
    ended = attempt.get("finished_at")
    when = ended if isinstance(ended, datetime) else since
    if outcome is MigrationState.COMPLETED:
        if _not_before(ended, since):
            goal = _goal(attempt)
            return Reconciled(goal, None if goal is MigrationState.NEW else when, outcome)
        return Reconciled(MigrationState.PROCESSING, since, MigrationState.INTERRUPTED)
    if outcome is MigrationState.FAILED:
        return Reconciled(MigrationState.FAILED, when, outcome)
    return Reconciled(MigrationState.PROCESSING, since, outcome)


def _goal(attempt: Mapping[str, Any]) -> MigrationState:
    """The state that a completed attempt leads to."""
    rollback = attempt.get("action") == Action.ROLLBACK.value
    return MigrationState.NEW if rollback else MigrationState.COMPLETED


def _is_result(state: MigrationState, since: datetime | None, attempt: Mapping[str, Any]) -> bool:
    """Whether an open attempt has led to ``state``, and did not find it there when it began."""
    # New has no time, but a migration that is New is not rolled back.
    return state is MigrationState.NEW or _not_before(since, attempt.get("started_at"))


def _not_before(when: object, other: object) -> bool:
    return isinstance(when, datetime) and isinstance(other, datetime) and when >= other
