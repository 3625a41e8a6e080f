"""The parameter ``FROM:TO``: two names with a colon between them, which complete one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from monarch.commands.parsing.arguments import ENVIRONMENT, RESTORABLE
from monarch.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Pair(NamedTuple):
    """What stands before the colon, and what behind it. Neither is empty; nobody has looked them up."""

    source: str
    target: str


class PairType(click.ParamType):  # type: ignore[type-arg]
    """``source:target``, each of which completes as its own type does.

    ``example`` is a pair to show to people. Where a source ``may_have_colons`` the last colon counts,
    else there must be one alone.
    """

    def __init__(
        self,
        name: str,
        source: click.ParamType,  # type: ignore[type-arg]
        target: click.ParamType,  # type: ignore[type-arg]
        *,
        example: str,
        may_have_colons: bool = False,
    ) -> None:
        self.name = name
        self._source = source
        self._target = target
        self._example = example
        self._may_have_colons = may_have_colons

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pair:
        """``value`` taken apart.

        :raises UsageError: if it is no pair; with an example of this command.
        """
        if isinstance(value, Pair):  # a default; click converts what is converted already
            return value
        source, colon, target = str(value).rpartition(":")
        wrong = None
        if not colon and self._source is self._target:
            how_many = "only one" if value else "no"
            wrong = f"{value!r} says {how_many} {self._source.name}, and {self.name.upper()} takes two."
        elif not colon:
            wrong = f"{value!r} says no {self._target.name}."
        elif ":" in source and not self._may_have_colons:
            wrong = f"{value!r} has {value.count(':')} colons, and {self.name.upper()} has one."
        elif not source:
            wrong = f"{value!r} says no {self._source.name} before the colon."
        elif not target:
            wrong = f"{value!r} says no {self._target.name} behind the colon."
        if wrong:
            raise UsageError(wrong, f"Like: {ctx.command_path if ctx else 'monarch'} {self._example}")
        return Pair(source, target)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """First sources, each with its colon; behind that, targets."""
        from click.shell_completion import CompletionItem

        sources = self._source.shell_complete(ctx, param, incomplete)
        whole = [f"{item.value}:" for item in sources]
        source, _, begun = incomplete.rpartition(":")
        # A source with colons that is half typed looks like one that is over: there the sources win.
        if source and not whole and (self._may_have_colons or ":" not in source):
            targets = [item.value for item in self._target.shell_complete(ctx, param, begun)]
            # Of two of a kind, one to itself is never meant.
            itself = source if self._source is self._target else None
            whole += [f"{source}:{target}" for target in targets if target != itself]
        return [CompletionItem(text) for text in whole]


BACKUP_AND_ENVIRONMENT = PairType(
    "backup:environment", RESTORABLE, ENVIRONMENT, example="production:development", may_have_colons=True
)
ENVIRONMENTS = PairType("from:to", ENVIRONMENT, ENVIRONMENT, example="production:development")
