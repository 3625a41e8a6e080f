"""A process that migrates databases for `monarch migrate --jobs`, one after the other.

It reads lines of JSON from standard input: the project and the order first, then a name of a database each.
To standard output it writes the events of ``--json``, the last of which for each database is ``summary``.
What anything else prints goes to standard error. It ends when its input does.

Migrations are modules of the project, which know of one database at a time; processes keep them apart.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TextIO

from monarch.commands.console.streams import own_stdout
from monarch.commands.reports.run import Events
from monarch.commands.reports.story import Story
from monarch.commands.several.fleet import Order, run_one
from monarch.databases.several.targets import ChosenDatabase
from monarch.errors import MonarchError
from monarch.project import Project
from monarch.system.signals import signals_as_interrupts


def main() -> None:
    """Work until the input ends or a signal interrupts it."""
    orders = _take_stdin()
    given = json.loads(orders.readline())
    left = given["left"]
    order = Order(given["how"], None if left is None else time.monotonic() + left)
    project = Project(Path(given["root"]))
    with own_stdout() as out, signals_as_interrupts():
        for line in iter(orders.readline, ""):
            label = json.loads(line)
            story = Story(label)
            events = Events(story, out, environment=label)
            try:
                run_one(project, _target(project, label), order, events, story)
            except KeyboardInterrupt:
                return
            finally:
                events.summarize()
                out.flush()


def _take_stdin() -> TextIO:
    """Return standard input; what migrations read from it is empty from now on."""
    kept = os.dup(0)
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)
    return os.fdopen(kept, encoding="utf-8")


def _target(project: Project, label: str) -> ChosenDatabase:
    try:
        return ChosenDatabase(project.environment(label))
    except MonarchError as error:
        return ChosenDatabase(project.select(label)[0].environment, error)


if __name__ == "__main__":
    main()
