"""Migrating several databases one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monarch.errors import DeadlineReached, MonarchError

if TYPE_CHECKING:
    from monarch.commands.reports.story import Story
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.progress import Progress
    from monarch.project import Project


@dataclass(frozen=True)
class Fleet:
    """How several databases are migrated: ``jobs`` at once, and whether to go on after one has failed."""

    jobs: int
    keep_going: bool
    plan: bool
    as_json: bool
    junit: str | None
    yes: bool


@dataclass(frozen=True)
class Order:
    """What is to be done with each database: the arguments of `Project.migrate`.

    ``end`` is the deadline of all of them by the clock of `time.monotonic`; None if there is none.
    """

    how: Mapping[str, Any]
    end: float | None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for the next database.

        :raises DeadlineReached: if there is no time for it.
        """
        left = None if self.end is None else self.end - time.monotonic()
        if left is not None and left <= 0:
            raise DeadlineReached("The deadline was reached before this database.", "Run the command again.")
        return {**self.how, "deadline": left}


def make_order(how: Mapping[str, Any]) -> Order:
    """Return the order whose deadline, if there is one, begins now."""
    seconds = how["deadline"]
    return Order(how, None if seconds is None else time.monotonic() + seconds)


def run_one(project: Project, target: ChosenDatabase, order: Order, progress: Progress, story: Story) -> None:
    """Migrate one database, and record in ``story`` how that ended. Raises only what interrupts."""
    try:
        label = target.require().label
        with _here():
            story.succeed(project.migrate(label, progress=progress, **order.arguments()))
    except MonarchError as error:
        story.fail(error)
    except BaseException as error:
        story.fail(error)
        raise


@contextmanager
def _here() -> Iterator[None]:
    """Return to this folder at the end: a migration may change it, and the next database be migrated."""
    here = Path.cwd()
    try:
        yield
    finally:
        with suppress(OSError):  # it is gone
            os.chdir(here)


def run_in_turn(
    project: Project,
    targets: tuple[ChosenDatabase, ...],
    order: Order,
    tell: Callable[[ChosenDatabase], tuple[Progress, Story]],
    ended: Callable[[Story], None],
    *,
    keep_going: bool,
) -> None:
    """Migrate ``targets`` one after the other, and stop at the first failure unless ``keep_going``.

    ``tell`` gives each its progress and story, and ``ended`` is called with each story that has ended.
    """
    for target in targets:
        progress, story = tell(target)
        try:
            run_one(project, target, order, progress, story)
        finally:
            ended(story)
        if story.exit_code == 130 or (story.error is not None and not keep_going):
            return
