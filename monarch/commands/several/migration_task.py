"""Migrating databases in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from monarch.commands.reports.story import Finished, Story
from monarch.commands.several.workers import Task, lost, of_project

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.commands.several.fleet import Order
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.errors import MonarchError


class MigrationTask(Task[Story]):
    """Migrating each database by ``order``: its state is the story of its run.

    ``hear`` is called with each event of a database but the last, ``ended`` with its story at its end,
    and ``keep`` instead if it cannot be reported.
    """

    def __init__(
        self,
        root: Path,
        order: Order,
        hear: Callable[[Story, dict[str, Any]], None],
        ended: Callable[[Story], None],
        keep: Callable[[Story], None],
        *,
        keep_going: bool,
    ) -> None:
        self._root = root
        self._order = order
        self._hear = hear
        self._ended = ended
        self._keep = keep
        self._keep_going = keep_going

    def order(self) -> dict[str, Any]:
        left = None if self._order.end is None else self._order.end - time.monotonic()
        return {"task": "migrate", **of_project(self._root), "how": dict(self._order.how), "left": left}

    def begin(self, target: ChosenDatabase) -> Story:
        return Story(target.environment.label)

    def hear(self, state: Story, event: dict[str, Any]) -> bool:
        record(state, event)
        is_last: bool = event["event"] == "summary"
        if not is_last:
            self._hear(state, event)
        return is_last

    def fail(self, state: Story, error: MonarchError) -> None:
        state.fail(error)

    def lose(self, state: Story) -> None:
        state.fail(lost(state.environment))
        self._keep(state)

    def end(self, state: Story) -> bool:
        self._ended(state)
        return state.error is None or (self._keep_going and state.exit_code != 130)


def record(story: Story, event: dict[str, Any]) -> None:
    """Record in ``story`` what an ``event`` of its run says."""
    match event["event"]:
        case "planned":
            story.planned = tuple(event["migrations"])
        case "started":
            story.running = event["migration"]
        case "backed_up":
            story.backup = event["name"]
        case "finished":
            story.running = None
            names = ("migration", "seconds", "documents", "echoed")
            story.done.append(Finished(**{name: event[name] for name in names}))
        case "summary":
            story.error, story.hint = event["error"], event["hint"]
            story.exit_code = event["exit_code"]
            story.only_in_database = tuple(event["only_in_database"])
            if event["file"] is not None:
                story.place = event["file"], event["line"]
