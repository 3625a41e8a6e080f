"""Run the story of the README with the real commands on a sample project."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from monarch.demo.samples import find_sample
from monarch.errors import MonarchError, UsageError
from monarch.project import Project
from monarch.system.subprocesses import run_on_terminal

STORY = (
    ("# A team has environments. Here are two, each with a {title} of its own.", "list_environments"),
    ("# Production has data, development has none. (A person would be asked; CI says --yes.)", None),
    ("", "copy_db production:development --yes"),
    ("# Somebody wrote two migrations. Which has that data seen?", "list_migrations development"),
    ("# Try them where nothing can break.", "migrate development"),
    ("# Everything cool? Just to be sure, let's make a backup.", "backup production"),
    ("# Time to rock.", "migrate production --yes"),
    ("# Once is enough, however often it is run.", "migrate production --yes"),
    ("", "list_migrations production"),
    ("# Not cool? The backup knows how it was. Look at it where nothing can break.", None),
    ("", "list_backups"),
    ("", "restore production:development --yes"),
    ("", "list_migrations development"),
)
# After the story, for a kind whose private environments can be copied.
PRIVATE_CHAPTER = (
    (
        "# Names and mails of people should not lie on laptops. What looks personal?",
        "suggest_masks production",
    ),
    ("# A copy is masked on the way now. Look at two documents before it is made.", None),
    ("", "copy_db production:development --plan --show 2"),
    ("", "copy_db production:development --yes"),
    ("# Is there really nobody in it?", "leaks production:development --check all"),
)


def run_demo(folder: str, kind: str, echo: Callable[[str], None]) -> None:
    """Create the sample project of ``kind`` in ``folder`` and run the story in it. ``echo`` prints one line.

    :param kind: one of `monarch.demo.samples.SAMPLES`.
    :raises UsageError: if ``folder`` exists already, or cannot be created.
    :raises ServerError: if no server of that kind can be started.
    :raises MonarchError: if one of the commands fails.
    """
    root, sample = Path(folder), find_sample(kind)
    try:
        root.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(f"{folder!r} exists already.", "Name a new folder: monarch demo FOLDER") from None
    except OSError as error:
        raise UsageError(f"Cannot create {folder!r}: {error.strerror}.", "Name another folder.") from None
    echo(f"# A sample project, in {folder}/. Two small {sample.title} servers are starting …")
    with resources.as_file(sample.project) as files:
        shutil.copytree(files, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    project = Project(root)
    try:
        with ExitStack() as servers:
            # Keep the servers open, so that the commands share them instead of starting their own.
            for name in ("production", "development"):
                database = servers.enter_context(project.open(name))
                if name == "production":
                    sample.fill(database)
            for comment, command in STORY:
                _run_step(comment.format(title=sample.title), command, root, echo)
            if sample.is_masked:
                _declare_private(root, echo)
                for comment, command in PRIVATE_CHAPTER:
                    _run_step(comment, command, root, echo)
    except BaseException:
        # The folder of an unfinished story would block the next try.
        shutil.rmtree(root, ignore_errors=True)
        raise
    echo("")
    echo(f"# That was it. Look around: cd {folder}, edit migrations/, run monarch --help.")


def _declare_private(root: Path, echo: Callable[[str], None]) -> None:
    settings = root / "migrations" / "settings.py"
    text = settings.read_text(encoding="utf-8")
    private = text.replace('"production": {', '"production": {"private": True, ', 1)
    settings.write_text(private, encoding="utf-8")
    echo("")
    echo("# One more thing: migrations/settings.py says now that production is private.")
    echo('#   "production": {"private": True, …')


def _run_step(comment: str, command: str | None, root: Path, echo: Callable[[str], None]) -> None:
    if comment:
        echo("")
        echo(comment)
    if command is None:
        return
    echo(f"$ monarch {command}")
    code = run_on_terminal([sys.executable, "-m", "monarch", *command.split()], root)
    if code != 0:
        raise MonarchError(f"`monarch {command}` ended with exit code {code}.", "See its error above.")
