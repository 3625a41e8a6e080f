"""A process that works on several databases for a command with ``--jobs``, one after the other.

`start_helper` starts it. It reads lines of JSON from standard input: first the order, with the ``task`` and
the ``root`` of the project, then a name of a database each. To standard output it writes ``null`` when it is
ready, then events as lines of JSON, for each database up to the last one. What anything else prints goes to
standard error, where a line with a zero byte follows what was printed for a database. It ends when its input
does.

Migrations and hooks are modules of the project, which know of one database at a time; processes keep them
apart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from monarch.commands.console.boundary import leave
from monarch.commands.console.streams import own_stdout
from monarch.commands.loudness import levels
from monarch.commands.several.workers import CAUGHT_UP, READY
from monarch.databases.several.targets import ChosenDatabase
from monarch.errors import MonarchError
from monarch.project import Project
from monarch.settings.search import choose_again
from monarch.system.secrets import MASKS_KEY_VARIABLE
from monarch.system.signals import signals_as_interrupts


def main() -> None:
    """Work until the input ends, a signal interrupts it, or nobody reads its output."""
    try:
        with (
            suppress(BrokenPipeError),
            own_stdout() as out,
            signals_as_interrupts(),
            suppress(KeyboardInterrupt),
        ):
            _work(out)
    finally:
        leave()


def _work(out: TextIO) -> None:
    orders = _take_stdin()
    given = json.loads(orders.readline())
    levels.work_for(given["loudness"])
    if given["masks_key"] is not None:
        os.environ[MASKS_KEY_VARIABLE] = given["masks_key"]
    root = Path(given["root"])
    choose_again(root, given["chosen"])
    project = Project(root)
    work = {"migrate": _migrating, "backup": _backing_up}[given["task"]](project, given, out)
    out.write(READY.decode())
    out.flush()
    for line in iter(orders.readline, ""):
        label = json.loads(line)
        project.trust(label)
        try:
            work(label)
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            with suppress(OSError):
                os.write(2, f"{CAUGHT_UP}\n".encode())


def _migrating(project: Project, given: dict[str, Any], out: TextIO) -> Callable[[str], None]:
    from monarch.commands.reports.run import Events
    from monarch.commands.reports.story import Story
    from monarch.commands.several.fleet import Order, run_one

    left = given["left"]
    order = Order(given["how"], None if left is None else time.monotonic() + left)

    def migrate(label: str) -> None:
        story = Story(label)
        events = Events(story, out, environment=label)
        try:
            run_one(project, _find(project, label), order, events, story)
        finally:
            events.summarize()
            out.flush()

    return migrate


def _backing_up(project: Project, given: dict[str, Any], out: TextIO) -> Callable[[str], None]:
    from dataclasses import asdict

    from monarch.commands.several.backup_outcomes import Extras, take

    extras, how = Extras(**given["extras"]), given["how"]

    def back_up(label: str) -> None:
        outcome = take(project, _find(project, label), extras, how)
        out.write(json.dumps(asdict(outcome)) + "\n")
        out.flush()
        if outcome.was_interrupted:
            raise KeyboardInterrupt

    return back_up


def _take_stdin() -> TextIO:
    """Return standard input; what migrations read from it is empty from now on."""
    kept = os.dup(0)
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 0)
    return os.fdopen(kept, encoding="utf-8")


def _find(project: Project, label: str) -> ChosenDatabase:
    try:
        return ChosenDatabase(project.environment(label))
    except MonarchError as error:
        return ChosenDatabase(project.select(label)[0].environment, error)
