"""The argument ``FROM:TO``: two names with a colon between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from monarch.commands.parsing.arguments import ENVIRONMENT, RESTORABLE
from monarch.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Pair(NamedTuple):
    """The names before and after the colon. Neither is empty; whether they exist is not checked."""

    source: str
    target: str


class PairType(click.ParamType):  # type: ignore[type-arg]
    """``source:target``, each of which completes like its own type.

    ``example`` is shown in the hint of an error. If a source ``may_have_colons``, the last colon separates;
    otherwise there must be exactly one.
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
        """``value`` as a pair.

        :raises UsageError: if it is not one; the hint is an example.
        """
        if isinstance(value, Pair):  # click also converts defaults
            return value
        source, colon, target = str(value).rpartition(":")
        wrong = None
        if not colon and self._source is self._target:
            how_many = "only one" if value else "no"
            wrong = f"{value!r} names {how_many} {self._source.name}, but {self.name.upper()} takes two."
        elif not colon:
            wrong = f"{value!r} has no colon, and names no {self._target.name} after one."
        elif ":" in source and not self._may_have_colons:
            wrong = f"{value!r} has {value.count(':')} colons, but {self.name.upper()} has one."
        elif not source:
            wrong = f"{value!r} has no {self._source.name} before the colon."
        elif not target:
            wrong = f"{value!r} has no {self._target.name} after the colon."
        if wrong:
            raise UsageError(wrong, f"For example: {ctx.command_path if ctx else 'monarch'} {self._example}")
        return Pair(source, target)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Sources with their colon; after the colon, targets."""
        from click.shell_completion import CompletionItem

        sources = self._source.shell_complete(ctx, param, incomplete)
        whole = [f"{item.value}:" for item in sources]
        source, _, begun = incomplete.rpartition(":")
        # A source with colons that is typed half looks complete: sources come first.
        if source and not whole and (self._may_have_colons or ":" not in source):
            targets = [item.value for item in self._target.shell_complete(ctx, param, begun)]
            # An environment is never copied to itself.
            itself = source if self._source is self._target else None
            whole += [f"{source}:{target}" for target in targets if target != itself]
        return [CompletionItem(text) for text in whole]


BACKUP_AND_ENVIRONMENT = PairType(
    "backup:environment", RESTORABLE, ENVIRONMENT, example="production:development", may_have_colons=True
)
ENVIRONMENTS = PairType("from:to", ENVIRONMENT, ENVIRONMENT, example="production:development")
