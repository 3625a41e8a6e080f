"""What ``generate`` and ``generate_query_set`` take: a name in words, and a kind that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monarch.commands.parsing.arguments import MIGRATION, ProjectName, this_project
from monarch.databases import KINDS, find_kind
from monarch.errors import MonarchError, RunInterrupted, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from monarch.project import Project

_Function = TypeVar("_Function", bound=Callable[..., Any])


def kind_option(function: _Function) -> _Function:
    """``--kind`` of what is written."""
    return click.option(
        "--kind", type=click.Choice(tuple(KINDS)), help="The kind of database that it is for."
    )(function)


def one_name(words: tuple[str, ...], project: Project, command: str) -> str:
    """Return the name that ``words`` of the command line are.

    :raises UsageError: if there are several, or if it is that of an environment.
    """
    kinds = _kinds_of(project)
    if words[0] in kinds:
        raise _not_an_environment(words[0], words[1:], kinds, command)
    if len(words) == 2 and words[1] in kinds:  # in the order of migrate_one
        raise _not_an_environment(words[1], words[:1], kinds, command)
    if len(words) > 1 and words[0] in KINDS:
        raise UsageError(
            f"{words[0]!r} is a kind of database, and {command} takes a name.",
            f"For example: monarch {command} {_quoted(' '.join(words[1:]))} --kind {words[0]}",
        )
    if len(words) > 1:
        raise UsageError(
            f"{len(words)} names are given: {' '.join(words)}.",
            f"If it is one name, put it in quotes: monarch {command} {_quoted(' '.join(words))}",
        )
    return words[0]


def asking_for_kind(write: Callable[[str | None], Path], kind: str | None) -> Path:
    """Return what ``write`` returns for ``kind``. If it has to be named, ask for it in a terminal.

    :raises UsageError: without a terminal, with the kinds that there are.
    """
    from monarch.scaffold.write import SeveralKinds

    try:
        return write(kind)
    except SeveralKinds as error:
        if not sys.stdin.isatty():
            raise
        return write(_ask_for_kind(error.kinds))


def _ask_for_kind(kinds: Mapping[str, tuple[str, ...]]) -> str:
    from monarch.commands.console.lines import show

    show("This project has databases of several kinds:", err=True)
    for kind, environments in kinds.items():
        show(f"  {kind}: {', '.join(environments) or 'no environment that is complete here'}", err=True)
    try:
        return str(click.prompt("Which kind is it for", type=click.Choice(tuple(kinds)), err=True))
    except click.Abort:
        show(err=True)
        raise RunInterrupted("Interrupted. Nothing was written.") from None


def _kinds_of(project: Project) -> dict[str, str | None]:
    """The kinds of the environments of ``project``, by their names; none if its settings cannot be read."""
    try:
        return {one.name: one.known_kind for one in project.environments()}
    except MonarchError:  # a file can be written before they are right
        return {}


def _not_an_environment(
    environment: str, rest: tuple[str, ...], kinds: dict[str, str | None], command: str
) -> UsageError:
    known = sorted({kind for kind in kinds.values() if kind is not None})
    line, offer = f"monarch {command} {_quoted(' '.join(rest) or 'add_indexes')}", ""
    if len(known) > 1:
        line += f" --kind {kinds[environment] or known[0]}"
        offer = f". The kinds here are {' and '.join(f'{one} ({find_kind(one).title})' for one in known)}."
    return UsageError(
        f"{environment!r} is an environment, and {command} takes the name of what is new.",
        f"For example: {line}{offer}",
    )


def _quoted(name: str) -> str:
    from shlex import quote

    quoted = quote(name)
    return f'"{name}"' if quoted == f"'{name}'" and not set(name) & set('"$`\\!') else quoted


class FolderType(ProjectName):
    """A folder in ``migrations/``."""

    def __init__(self) -> None:
        super().__init__(
            "folder", lambda: {file.folder for file in this_project().migrations() if file.folder}
        )


class TemplateType(click.ParamType):  # type: ignore[type-arg]
    """A file, a template of the project, or a migration."""

    name = "template"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The templates and migrations of that name; files if there are none."""
        from click.shell_completion import CompletionItem

        named = [*_TEMPLATES.shell_complete(ctx, param, incomplete)]
        named += MIGRATION.shell_complete(ctx, param, incomplete) if incomplete else []
        return named or [CompletionItem(incomplete, type="file")]


def _names_of_templates() -> list[str]:
    from monarch.scaffold.templates import names_in

    project = this_project()
    return names_in(project.root / project.place.folder)


_TEMPLATES = ProjectName("template", _names_of_templates)
FOLDER_IN_MIGRATIONS = FolderType()
TEMPLATE = TemplateType()
