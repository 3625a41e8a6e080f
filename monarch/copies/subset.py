"""What copies and backups share: which part of the source is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monarch.databases import find_kind
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.errors import RunInterrupted, UsageError
from monarch.progress import Progress
from monarch.querysets.evaluate import EvaluatedQuerySet, evaluate


@dataclass(frozen=True)
class SubsetRequest:
    """The subset that ``query_set`` selects, with ``options`` as its answers; without one, everything."""

    query_set: str | None
    options: Mapping[str, str]

    def engine(self, requested: str, environment: Environment) -> str:
        """Return the engine to use: for a subset "auto" means the one that reads it as of one snapshot."""
        if requested == "auto" and self.query_set is not None:
            return find_kind(environment.kind).subset_engine
        return requested

    def evaluate(
        self, root: Path, environment: Environment, database: Database, progress: Progress
    ) -> EvaluatedQuerySet | None:
        """Run the query set of the project at ``root`` on ``database``; None without one.

        :raises UsageError: if there are options but no query set.
        """
        if self.query_set is None:
            if self.options:
                raise UsageError("-o is for a query set, but no query set is named.", "Name one: -q NAME")
            return None
        evaluated = evaluate(root, self.query_set, self.options, environment, database.handles())
        if progress.must_stop():  # Ctrl-C, swallowed by an `except` of the query set
            raise RunInterrupted("Interrupted. Nothing was changed.")
        return evaluated


NO_SUBSET = SubsetRequest(None, {})


def shown_options(evaluated: EvaluatedQuerySet | None, *, masked: bool) -> tuple[str, ...]:
    """Return the options of a query set for people, without their values if the documents are ``masked``."""
    options = evaluated.options if evaluated else {}
    return tuple(f"{name}={'?' if masked else value}" for name, value in options.items())
