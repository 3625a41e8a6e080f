"""What has happened in a run of migrations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monarch.errors import MonarchError
from monarch.system.secrets import redact

if TYPE_CHECKING:
    from monarch.migrations.migrate import RunResult

_INTERRUPTED = 130


@dataclass(frozen=True)
class Finished:
    """A migration that is done; it has written ``documents`` and printed ``echoed``."""

    migration: str
    seconds: float
    documents: int
    echoed: str


@dataclass
class Story:
    """What has happened so far in a run on ``environment``, and how it ended.

    ``place`` is the file and line of the migration that failed.
    """

    environment: str
    planned: tuple[str, ...] = ()
    done: list[Finished] = field(default_factory=list)
    running: str | None = None
    result: RunResult | None = None
    only_in_database: tuple[str, ...] = ()
    backup: str | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    place: tuple[str, int | None] | None = None
    # What its migrations write, one of it.
    part: str = "document"
    # The folder at the beginning: a migration may change it.
    folder: Path = field(default_factory=Path.cwd)

    def succeed(self, result: RunResult) -> None:
        """Record that the run ended with ``result``."""
        self.result, self.only_in_database = result, result.only_in_database

    def fail(self, error: BaseException) -> None:
        """Record that the run ended with ``error``."""
        interrupted = isinstance(error, KeyboardInterrupt | click.Abort)
        self.exit_code = _INTERRUPTED if interrupted else getattr(error, "exit_code", 1)
        text = "Interrupted." if interrupted else str(error) or type(error).__name__
        self.error = redact(" ".join(text.split()))
        self.hint = redact(error.hint) if isinstance(error, MonarchError) and error.hint else None
        # A `MigrationFailed` has a file; importing its class would cost every run.
        file = getattr(error, "file", None)
        if file is not None:
            self.place = file.shown_path, getattr(error, "line", None)

    @property
    def not_reached(self) -> tuple[str, ...]:
        """The planned migrations that have not begun."""
        begun = {*(finished.migration for finished in self.done), self.running}
        return tuple(key for key in self.planned if key not in begun)
