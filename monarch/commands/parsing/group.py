"""monarch as click sees it: a group whose commands are imported when they are used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from monarch.commands.console.boundary import guarded
from monarch.commands.console.terminal import colour, columns
from monarch.commands.looks import silence
from monarch.commands.loudness import levels
from monarch.commands.parsing.everywhere import add_to_command, add_to_group
from monarch.commands.parsing.usage import hint_for_command, parsing
from monarch.commands.parsing.whereabouts import returning
from monarch.errors import EXIT_CODES, UsageError
from monarch.system.signals import signals_as_interrupts


class Group(click.Group):
    """monarch's group: lazy commands, dashes for underscores, aliases, the nearest name, the error boundary.

    ``table`` maps the headings of ``--help`` to their commands, and each of those to its module in
    ``monarch.commands`` and its summary. The group and all its commands take the options of `everywhere`.
    """

    aliases = {"create": "generate"}

    def __init__(self, *args: Any, table: Mapping[str, Mapping[str, tuple[str, str]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table
        self._modules = {name: module for rows in table.values() for name, (module, _) in rows.items()}
        add_to_group(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it was not used before."""
        name = cmd_name.replace("-", "_")
        name = self.aliases.get(name, name)
        if name in self._modules and name not in self.commands:
            from importlib import import_module

            command: click.Command = getattr(import_module(f"monarch.commands.{self._modules[name]}"), name)
            add_to_command(command)
            self.add_command(command)
        return self.commands.get(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that ``args`` begin with.

        :raises UsageError: if there is none, naming the nearest one.
        """
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(
                f"There is no command {args[0]!r}.", hint_for_command(args[0], self.list_commands(ctx))
            )
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            parsing(name)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands. Imports none of them."""
        wide = max(map(len, self._modules))
        for heading, rows in self.table.items():
            with formatter.section(heading):
                # Padded to one width, so that the summaries of all sections are aligned.
                formatter.write_dl([(name.ljust(wide), summary) for name, (_, summary) in rows.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Like click's, without its import of shutil, which takes longer than our own code."""
        width = max(min(columns(), 80) - 2, 50)
        return super().make_context(*args, **{"terminal_width": width, "color": colour(), **kwargs})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; SIGTERM and SIGHUP interrupt it like Ctrl-C."""
        with signals_as_interrupts():
            return super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        """Run the command line, and end with its exit code."""
        run = partial(super().main, *args, standalone_mode=False, **kwargs)
        if not standalone_mode:
            with returning():
                return run()
        given = args[0] if args else kwargs.get("args")
        levels.begin(sys.argv[1:] if given is None else given)
        code = 1
        try:
            with returning():
                code = guarded(run)
        finally:
            silence.close()
            levels.end(code)
        sys.exit(code)
