"""Types of arguments, and options that several commands share.

Completion never fails: at worst it offers nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monarch.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from monarch.project import Project

ENGINES = ("auto", "tools", "native")
_Function = TypeVar("_Function", bound=Callable[..., Any])
# What no shell expands, splits or executes, and no option.
_WORD = re.compile(r"[\w.:@%+,/][\w.:@%+,/\-]*")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+|\d+(?:\.\d+)?")


def this_project() -> Project:
    """The project that the person works on; its folder becomes the current one.

    :raises UsageError: if an option or a variable names none, or the current folder was deleted.
    """
    from monarch.commands.looks import silence
    from monarch.commands.parsing.whereabouts import find
    from monarch.project import Project

    if "_MONARCH_COMPLETE" not in os.environ:  # nothing may be printed while a shell completes
        silence.begin("working")  # whatever it reads first may not answer
    return Project(find().root)


class ProjectName(click.ParamType):  # type: ignore[type-arg]
    """The name of something in the project; ``known`` lists all of them for completion."""

    def __init__(self, name: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._known = known

    def names(self) -> list[str]:
        """All names there are; none if they cannot be listed, for example because the settings fail."""
        try:
            return list(self._known())
        except Exception:  # nothing may be printed here
            return []

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The known names that begin with ``incomplete``, without those that a shell may execute."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.names() if name.startswith(incomplete)]
        # click's scripts put what they get on the command line as it is: a name must not run anything.
        return [CompletionItem(name) for name in names if _WORD.fullmatch(name)]


def _environments() -> list[str]:
    environments = this_project().environments()
    named = [(one, one.databases.names if one.databases else ()) for one in environments]
    return [name for one, names in named for name in (one.name, *(one.member(each).label for each in names))]


ENVIRONMENT = ProjectName("environment", _environments)
BACKUP = ProjectName("backup", lambda: this_project().backups.names())
# A backup to restore: its name, or an environment for its newest backup.
RESTORABLE = ProjectName("backup", lambda: [*_environments(), *this_project().backups.names()])
QUERY_SET = ProjectName("query set", lambda: [file.name for file in this_project().query_sets()])
# By name, or by key, which begins with the date.
MIGRATION = ProjectName(
    "migration", lambda: [name for file in this_project().migrations() for name in (file.name, file.key)]
)


def environments_argument(function: _Function) -> _Function:
    """``ENVIRONMENT...``: one or several, also as patterns."""
    return click.argument(
        "environments", metavar="ENVIRONMENT...", type=ENVIRONMENT, nargs=-1, required=True
    )(function)


class Duration(click.ParamType):  # type: ignore[type-arg]
    """``90``, ``90s``, ``10m`` or ``1h30m``, as seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """``value`` in seconds."""
        if isinstance(value, float):
            return value
        if not _DURATION.fullmatch(str(value)):
            self.fail(f"{value!r} is not a duration. Use 90s, 10m or 1h30m.", param, ctx)
        parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", str(value))
        return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)


DURATION = Duration()


class Age(click.ParamType):  # type: ignore[type-arg]
    """``26h``, ``90m`` or ``2d``: an age, of which the unit is never guessed."""

    name = "age"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """``value`` as a time span."""
        if isinstance(value, timedelta):
            return value
        parts = re.findall(r"([0-9]{1,6})([dhms])", value)
        span = sum((timedelta(seconds=int(number) * _SECONDS[unit]) for number, unit in parts), timedelta())
        if not re.fullmatch(r"(?:[0-9]{1,6}[dhms])+", value) or not span:
            self.fail(f"{value!r} is not an age. Use 26h, 90m or 2d.", param, ctx)
        return span


AGE = Age()


class WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """A whole number from 1."""

    name = "count"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """``value`` as a number."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
            self.fail(f"{value!r} is not a whole number from 1.", param, ctx)
        return int(value)


def json_option(function: _Function) -> _Function:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def plan_option(what: str) -> Callable[[_Function], _Function]:
    """``--plan``, also as other tools call it. ``what`` is its help."""
    return click.option("--plan", "--dry-run", "-n", is_flag=True, help=what)


def plan_json_option(function: _Function) -> _Function:
    """``--json`` of a command whose plan alone it prints."""
    return click.option("--json", "as_json", is_flag=True, help="With --plan: print JSON, for programs.")(
        function
    )


def require_plan(plan: bool, as_json: bool) -> None:
    """Check that ``--json`` comes with ``--plan``.

    :raises UsageError: if it does not.
    """
    if as_json and not plan:
        raise UsageError("--json is for --plan.", "Add --plan: it changes nothing.")


def engine_option(function: _Function) -> _Function:
    """``--engine``: how documents are copied."""
    return click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="tools: mongodump and mongorestore; native: pymongo alone; auto: the tools if installed.",
    )(function)


def choice_options(function: _Function) -> _Function:
    """What of a source is taken: the options of a `Choice`."""
    rename = click.option(
        "--rename",
        metavar="OLD=NEW",
        multiple=True,
        callback=_parse_renames,
        help="Give this collection or view another name in the target; repeatable.",
    )
    only = click.option(
        "--only",
        metavar="NAME",
        multiple=True,
        help="Take only this collection or view, and the history; repeatable. All else is dropped, see "
        "--into-existing.",
    )
    into_existing = click.option(
        "--into-existing", is_flag=True, help="Keep what has none of the names that come, and the history."
    )
    no_indexes = click.option(
        "--without-indexes", is_flag=True, help="Leave out all indexes but those of _id, unique ones too."
    )
    index = click.option(
        "--exclude-index",
        metavar="COLLECTION.INDEX",
        multiple=True,
        help="Leave out this index; repeatable.",
    )
    collection = click.option(
        "--exclude", metavar="NAME", multiple=True, help="Leave out this collection or view; repeatable."
    )
    return only(collection(index(rename(no_indexes(into_existing(function))))))


def _parse_renames(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise click.BadParameter(f"{text!r} is not OLD=NEW.")
    return tuple((text.partition("=")[0], text.partition("=")[2]) for text in texts)


def raw_option(function: _Function) -> _Function:
    """``--raw``."""
    return click.option(
        "--raw", is_flag=True, help="Do not mask what leaves a private environment; asks, and is recorded."
    )(function)


def check_option(function: _Function) -> _Function:
    """``--check``: how much the leak check looks at."""
    return click.option(
        "--check",
        "check_all",
        type=click.Choice(("sample", "all")),
        default="sample",
        show_default=True,
        callback=lambda _context, _option, value: value == "all",
        help="How many masked documents are searched for leaks.",
    )(function)


class QuerySetAnswer(click.ParamType):  # type: ignore[type-arg]
    """``NAME=VALUE``, an answer to the query set of ``--query-set``."""

    name = "option"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What the query set takes that is named before; nothing if its file cannot be read."""
        from click.shell_completion import CompletionItem

        try:
            found = [one for one in this_project().query_sets() if one.name == ctx.params.get("query_set")]
        except Exception:  # nothing may be printed here
            return []
        taken = [name for one in found for name in (*one.options, *(asked.name for asked in one.questions))]
        names = [f"{name}=" for name in dict.fromkeys(taken)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def query_set_options(function: _Function) -> _Function:
    """``--query-set`` and ``--option``."""
    options = click.option(
        "--option",
        "-o",
        "options",
        metavar="NAME=VALUE",
        type=QuerySetAnswer(),
        multiple=True,
        callback=_parse_options,
        help="Answer an option or prompt of the query set, such as since=30d; repeatable.",
    )
    query_set = click.option(
        "--query-set",
        "-q",
        metavar="NAME",
        type=QUERY_SET,
        help="Only the subset that it selects.",
    )
    return query_set(options(function))


def _parse_options(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    if not texts:
        return {}
    from monarch.querysets.options import parse_options

    return parse_options(texts)
