"""What has run on an environment, compared with the files."""

from __future__ import annotations

from monarch.databases.base import Database
from monarch.databases.health.observation import Health, Observation, of_error
from monarch.databases.history import IncompleteDatabase
from monarch.errors import MonarchError
from monarch.migrations.files.find import MigrationFile
from monarch.migrations.status import Verdict, judge, list_status

_PATIENCE = 5.0
_FAILED = 6
_MOST = 3


def judge_migrations(files: tuple[MigrationFile, ...], database: Database, label: str) -> Observation:
    """Return how the history of ``database`` differs from ``files``. Writes nothing, never fails."""
    try:
        with database.hurried(_PATIENCE), database.reading():
            history = database.history
            rows = list_status(files, history.read(), history.checksums())
    except IncompleteDatabase:
        return Observation("migrations", Health.SKIPPED, "Not known before the copy into it is complete.")
    except MonarchError as error:
        return of_error("migrations", error)
    return _judge(judge(label, rows))


def _judge(verdict: Verdict) -> Observation:
    name = verdict.environment
    # By how bad they are, each with what to do. Pending ones are as they should be.
    groups = (
        (verdict.unfinished, "failed or interrupted", f"See why: monarch history {name} --last 5"),
        (verdict.ahead, "newer than this checkout", "Update this checkout."),
        (verdict.gone, "run, but their files are gone", _accept(name, verdict.gone)),
        (verdict.edited, "edited since they ran", _accept(name, verdict.edited)),
        (verdict.late, "late: older than what has run", f"See: monarch migrate {name} --plan"),
    )
    wrong = [(keys, what, then) for keys, what, then in groups if keys]
    more = [f"{len(verdict.running)} running"] if verdict.running else []
    if wrong:
        listed = [f"{what}: {_listed(keys)}" for keys, what, _ in wrong]
        state = Health.PROBLEM if verdict.unfinished else Health.WARNING
        message = f"{'; '.join([*listed, *more])}."
        return Observation("migrations", state, message[:1].upper() + message[1:], wrong[0][2], _FAILED)
    if verdict.pending:
        more.insert(0, f"{len(verdict.pending)} pending")
    return Observation("migrations", Health.OK, f"{', '.join(more).capitalize() or 'Up to date'}.")


def _listed(keys: tuple[str, ...]) -> str:
    more = len(keys) - _MOST
    return ", ".join(keys[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _accept(name: str, keys: tuple[str, ...]) -> str:
    return f"If this is intended: monarch mark {name} {' '.join(keys[:1])} --accept-edit"
