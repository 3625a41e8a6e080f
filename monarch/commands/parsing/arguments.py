"""Parameters that complete in the shell. Completion never fails: at worst it has nothing to offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from monarch.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from monarch.project import Project


def this_project() -> Project:
    """The project in the current folder.

    :raises UsageError: if somebody has deleted that.
    """
    from monarch.project import Project

    try:
        return Project()
    except FileNotFoundError:
        raise UsageError("The current folder is gone.", "Go to the folder of your project.") from None


class ProjectName(click.ParamType):  # type: ignore[type-arg]
    """A name that the project knows; ``known`` lists them all. Completes what begins as was typed."""

    def __init__(self, name: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._known = known

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            names = [name for name in self._known() if name.startswith(incomplete)]
        except Exception:  # of settings that fail, say: nothing helps there, and nothing may be printed
            return []
        return [CompletionItem(name) for name in names]


def _environments() -> list[str]:
    return [environment.name for environment in this_project().environments()]


ENVIRONMENT = ProjectName("environment", _environments)
BACKUP = ProjectName("backup", lambda: this_project().backups.names())
# What can stand for a backup: its name, or an environment for the newest one of that.
RESTORABLE = ProjectName("backup", lambda: [*_environments(), *this_project().backups.names()])
QUERY_SET = ProjectName("query set", lambda: [file.name for file in this_project().query_sets()])
# By the name that it was given, or by its key, which begins with the date.
MIGRATION = ProjectName(
    "migration", lambda: [name for file in this_project().migrations() for name in (file.name, file.key)]
)
