"""The options of monarch itself. Each command takes them too, before or after its name.

`monarch --help` lists them; the help of a command only says that they are there.
"""

from __future__ import annotations

import click

from monarch.commands.console.boundary import show_traceback

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
        )
    ]


def _remember_traceback(_: click.Context, __: click.Parameter, value: bool) -> None:
    if value:
        show_traceback()
