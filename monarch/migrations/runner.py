"""Running migrations, one after the other, each recorded before and after."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from monarch.environments import Environment
from monarch.errors import MigrationError, MonarchError, RunInterrupted
from monarch.history import Failure, History, Record
from monarch.importing import describe, importable
from monarch.migrations.files import MigrationFile, load_migration
from monarch.migrations.migration import Migration
from monarch.migrations.plan import ways_on
from monarch.progress import Progress
from monarch.secret import redact

# So many characters of a long traceback are kept at its beginning, and as many at its end.
_STORY_ENDS = 50_000


@dataclass(frozen=True)
class Done:
    """A migration that has run, and how long it took."""

    key: str
    seconds: float


class Runner:
    """Runs migrations of the project at ``root`` on one environment."""

    def __init__(
        self,
        root: Path,
        environment: Environment,
        history: History,
        handles: Mapping[str, object],
        progress: Progress,
        check: Callable[[], None],
    ) -> None:
        """``check`` raises before each migration if this run may change nothing any more."""
        self._root = root
        self._environment = environment
        self._history = history
        self._handles = handles
        self._progress = progress
        self._check = check

    def run(
        self,
        files: tuple[MigrationFile, ...],
        kinds: Mapping[str, type[Migration]],
        records: Mapping[str, Record],
    ) -> tuple[Done, ...]:
        """Run ``files``, loaded as ``kinds`` by `load_all`, in their order, whatever ``records`` say of them.

        :raises LockedError: if another run takes one of them first.
        :raises MigrationError: if one fails; those behind it are not touched.
        :raises RunInterrupted: on Ctrl-C or a signal, once that is recorded.
        """
        if files:
            self._progress.planned(self._environment.name, tuple(file.key for file in files))
        return tuple(self._run_one(file, kinds[file.key], records.get(file.key)) for file in files)

    def _run_one(self, file: MigrationFile, kind: type[Migration], seen: Record | None) -> Done:
        self._check()
        self._progress.started(file.key)
        began = time.monotonic()
        self._history.start(file.key, seen)
        try:
            self._call(kind)
            if self._progress.must_stop():
                raise KeyboardInterrupt("swallowed by the migration")
        except KeyboardInterrupt as error:
            self._record(file, error, interrupted=True)
            raise RunInterrupted(
                f"{file.key} was interrupted on {self._environment.name!r}, and is recorded as Failed.",
                ways_on(file.key, self._environment.name),
            ) from error
        except BaseException as error:
            # SystemExit too: a migration that says `exit(0)` half way has not completed.
            self._record(file, error)
            raise MigrationError(
                f"{file.key} failed on {self._environment.name!r}: {describe(file.path, error)}",
                ways_on(file.key, self._environment.name),
            ) from error
        self._complete(file)
        done = Done(file.key, time.monotonic() - began)
        self._progress.finished(done.key, done.seconds)
        return done

    def _call(self, kind: type[Migration]) -> None:
        with importable(self._root):
            migration = kind()
            migration.environment = self._environment
            for name, value in self._handles.items():
                setattr(migration, name, value)
            migration.run()

    def _complete(self, file: MigrationFile) -> None:
        try:
            self._history.complete(file.key)
        except KeyboardInterrupt as error:
            # It has run: saying so a second time does no harm, not having said so would.
            self._history.complete(file.key)
            raise RunInterrupted(
                f"Interrupted. {file.key} is done on {self._environment.name!r}; nothing ran after it.",
                f"To go on: monarch migrate {self._environment.name}",
            ) from error
        except MonarchError as error:
            raise type(error)(
                f"{file.key} has run to its end on {self._environment.name!r}, but that could not be "
                f"recorded: {error.message}",
                "It is left in Processing. Look what it has done before you run it a second time.",
            ) from error

    def _record(self, file: MigrationFile, error: BaseException, *, interrupted: bool = False) -> None:
        story = _storable(redact("".join(traceback.format_exception(error))))
        try:
            self._history.fail(file.key, Failure(_storable(describe(file.path, error)), story, interrupted))
        except MonarchError as unrecorded:
            kind = RunInterrupted if interrupted else MigrationError
            raise kind(
                f"{file.key} failed: {describe(file.path, error)}; and that could not be recorded: "
                f"{unrecorded.message}",
                "It is left in Processing. See that the server is back. "
                f"{ways_on(file.key, self._environment.name)}",
            ) from error


def load_all(files: tuple[MigrationFile, ...], root: Path) -> Mapping[str, type[Migration]]:
    """The classes of ``files`` by their keys: all of them before the first runs, so that a broken file
    changes nothing.

    :raises ProjectError: if one cannot be loaded.
    """
    return {file.key: load_migration(file, root) for file in files}


def _storable(text: str) -> str:
    """``text`` as a database takes it: no lone surrogates, and not the megabytes of a bulk write's error."""
    if len(text) > 2 * _STORY_ENDS:
        text = f"{text[:_STORY_ENDS]}\n[…]\n{text[-_STORY_ENDS:]}"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
