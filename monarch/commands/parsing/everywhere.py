"""The options of monarch itself. Each command takes them too, before or after its name.

`monarch --help` lists them; the help of a command only says that they are there.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from monarch.commands.console.boundary import show_traceback
from monarch.commands.loudness.levels import be_quiet, be_verbose, log_to

_EPILOG = "The options of `monarch --help` may stand here too."


def add_to_group(group: click.Group) -> None:
    """Add the options to monarch itself."""
    group.params.extend(_options(hidden=False))


def add_to_command(command: click.Command) -> None:
    """Add the options to a command, whose help does not list them."""
    command.params.extend(_options(hidden=True))
    command.epilog = _EPILOG


def _options(*, hidden: bool) -> list[click.Option]:
    """Return new options. Their callbacks are called once for monarch, and once more for the command.

    A callback whose option is not given must leave what was given before. What a command needs of them is in
    the ``meta`` of click's context, which both share.
    """
    return [
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
            # Before the other arguments, whose errors belong there too.
            is_eager=True,
            callback=_log_to,
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
