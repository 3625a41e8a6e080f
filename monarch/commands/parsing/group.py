"""monarch as click sees it: a group of commands with its own manners."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import click

from monarch.commands.console.boundary import guarded, signals_as_interrupts, want_traceback
from monarch.commands.console.terminal import colour, columns
from monarch.errors import EXIT_CODES, UsageError
from monarch.system.spelling import nearest


class Group(click.Group):
    """monarch's group: dashes for underscores, aliases, the nearest name, and the error boundary.

    It and all its commands take ``--traceback``.
    """

    aliases = {"create": "generate"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_traceback_option())

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.params.append(_traceback_option())
        super().add_command(cmd, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        return super().get_command(ctx, self.aliases.get(name, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = nearest(args[0], self.list_commands(ctx))
            hint = f"Did you mean {near!r}?" if near else "`monarch --help` lists them all."
            raise UsageError(f"There is no command {args[0]!r}.", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In the order in which one comes to need them, not the alphabet's."""
        rows = [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        # As click would set it, without its import of shutil, which takes longer than our own code.
        width = max(min(columns(), 80) - 2, 50)
        return super().make_context(*args, **{"terminal_width": width, "color": colour(), **kwargs})

    def invoke(self, ctx: click.Context) -> Any:
        with signals_as_interrupts():
            return super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        run = partial(super().main, *args, standalone_mode=False, **kwargs)
        if not standalone_mode:
            return run()
        sys.exit(guarded(run))


def _traceback_option() -> click.Option:
    def remember(_: click.Context, __: click.Parameter, value: bool) -> None:
        if value:
            want_traceback()

    return click.Option(
        ["--traceback"],
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show the whole traceback of an error.",
    )
