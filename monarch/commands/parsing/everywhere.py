"""The options of monarch itself. Each command takes them too, before or after its name.

`monarch --help` lists them; the help of a command only says that they are there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from monarch.commands.console.boundary import show_traceback
from monarch.commands.loudness.levels import be_quiet, be_verbose, log_to
from monarch.commands.parsing.whereabouts import VARIABLE, found_by, go, remember
from monarch.commands.parsing.whereabouts import find as find_place

_PROJECT = f"The project's folder. By default {VARIABLE}, else the nearest one upward."
_SETTINGS = "The settings, with the migrations beside them. By default migrations/settings.py."
_ENV_FILE = "Set the variables in this file that are not set, as python-dotenv does."
_EPILOG = "The options of `monarch --help` may stand here too."
# These only read, or have no project. The others name the project that they change, if it is elsewhere.
_READ_ONLY = frozenset(
    (
        "check",
        "check_backups",
        "demo",
        "doctor",
        "help",
        "completion",
        "history",
        "leak_check",
        "list_backups",
        "list_environments",
        "list_migrations",
        "list_query_sets",
        "show_backup",
        "uri",
        "verify_backup",
    )
)


class _Where(click.Path):
    """A folder or a file, which is completed, and looked at when it is used."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """``value`` as it is."""
        return value


def add_to_group(group: click.Group) -> None:
    """Add the options to monarch itself."""
    group.params.extend(_options(hidden=False))


def add_to_command(command: click.Command) -> None:
    """Add the options to a command, whose help does not list them."""
    command.params.extend(_options(hidden=True))
    command.epilog = _EPILOG
    if command.name not in _READ_ONLY and command.callback is not None:
        command.callback = _naming_project(command.callback, new=command.name == "init")


def _options(*, hidden: bool) -> list[click.Option]:
    """Return new options. Their callbacks are called once for monarch, and once more for the command.

    A callback whose option is not given must leave what was given before. What a command needs of them is in
    the ``meta`` of click's context, which both share.
    """
    return [
        # First of all: other files are looked for there.
        _path("-C", _go, "Go to this folder first, as git does; repeatable.", hidden, is_eager=True),
        _path("--project", _remember, _PROJECT, hidden),
        _path("--settings", _remember, _SETTINGS, hidden, file=True),
        _path("--env-file", _remember, _ENV_FILE, hidden, file=True),
        click.Option(
            ["--traceback"],
            is_flag=True,
            expose_value=False,
            hidden=hidden,
            callback=_remember_traceback,
            help="Show the whole traceback of an error.",
        ),
        _flag("--quiet", _be_quiet, "Print results, warnings and errors only.", hidden),
        _flag("--verbose", _be_verbose, "Print what is done to servers and stores.", hidden, "-v"),
        click.Option(
            ["--log-file"],
            metavar="FILE",
            type=click.Path(),
            expose_value=False,
            hidden=hidden,
            callback=_log_to,  # not eager: -C comes first
            help="Add all of that to FILE, with times.",
        ),
    ]


def _flag(name: str, callback: Callable[..., None], text: str, hidden: bool, *others: str) -> click.Option:
    return click.Option(
        [name, *others], is_flag=True, expose_value=False, hidden=hidden, callback=callback, help=text
    )


def _remember_traceback(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        show_traceback()


def _be_quiet(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        be_quiet()


def _be_verbose(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        be_verbose()


def _log_to(ctx: click.Context, __: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:  # completion opens nothing
        log_to(value)


def _path(
    name: str,
    callback: Callable[..., None],
    text: str,
    hidden: bool,
    *,
    file: bool = False,
    is_eager: bool = False,
) -> click.Option:
    return click.Option(
        [name],
        metavar="FILE" if file else "DIR",
        type=_Where(file_okay=file),
        multiple=is_eager,
        is_eager=is_eager,
        expose_value=False,
        hidden=hidden,
        callback=callback,
        help=text,
    )


def _go(_: click.Context, __: click.Parameter, folders: tuple[str, ...]) -> None:
    for folder in folders:
        go(folder)


def _remember(_: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        remember(**{str(option.name): value})


def _naming_project(callback: Callable[..., Any], *, new: bool) -> Callable[..., Any]:
    """Return the function of a command that changes something, which first names a project elsewhere.

    :param new: whether it makes one, for which nothing is searched upward.
    """

    @wraps(callback)
    def named(*args: Any, **kwargs: Any) -> Any:
        place, how = find_place(upward=not new), found_by()
        if how is not None and (new or (place.root / place.settings).exists()):
            from monarch.commands.console.lines import aside

            aside(f"Project: {place.root} ({how})")
        return callback(*args, **kwargs)

    return named
