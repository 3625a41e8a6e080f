"""Questions before something that cannot be undone.

Without a terminal nobody can answer: this is an error that names the flag, never a hang.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monarch.commands.console.lines import harmless, show
from monarch.commands.looks import silence
from monarch.errors import Declined, RunInterrupted, UsageError

if TYPE_CHECKING:
    from monarch.databases.environment import Environment

# Names that a question holds; of more it holds their number.
_MOST_NAMED = 4

_Function = TypeVar("_Function", bound=Callable[..., Any])


def yes_option(function: _Function) -> _Function:
    """``--yes``: answers every question in advance."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask; for scripts and CI.")(function)


def breathe(environment: Environment, what: str, yes: bool, why: str | None = None) -> None:
    """The breath-o-lizer: ask for a sum before a hazardous environment is changed.

    ``what`` completes the sentence "you are about to … DATABASE". With ``why`` it is asked for that reason,
    however harmless the environment is.

    :raises Declined: on a wrong answer.
    :raises UsageError: without a terminal.
    """
    from monarch.settings.protection import why_hazardous

    hazard = why_hazardous(environment)
    if (hazard is None and why is None) or yes:
        return
    _require_terminal(
        f"{environment.name!r} is hazardous: {hazard}." if why is None else f"This is hazardous: {why}."
    )
    why = why or hazard
    where = f"{environment.db_name} on {environment.name} ({environment.server})"
    show(f"Careful: you are about to {what} {where}, and {why}.", err=True)
    _ask_for_sum()


def _ask_for_sum() -> None:
    import random

    first, second = random.randint(1, 9), random.randint(1, 9)
    answer = _ask(lambda: click.prompt(f"Breath-o-lizer: what is {first} + {second}", err=True))
    if str(answer).strip() != str(first + second):
        raise Declined(f"That is not {first} + {second}. Nothing was changed.", "Have a coffee, come back.")


def breathe_all(environments: Sequence[Environment], what: str) -> None:
    """As `breathe`, once for several environments, of which the hazardous ones are named.

    :raises Declined: on a wrong answer.
    :raises UsageError: without a terminal, if one of them is hazardous.
    """
    from monarch.settings.protection import why_hazardous

    hazardous = [one for one in environments if why_hazardous(one) is not None]
    if not hazardous:
        return
    reasons = list(dict.fromkeys(f"{one.name}: {why_hazardous(one)}" for one in hazardous))
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    which = f"{len(hazardous)} of {len(environments)} databases are hazardous"
    which = f"{which} ({'; '.join(reasons[:_MOST_NAMED])}{more})"
    _require_terminal(f"{which}.")
    show(f"Careful: you are about to {what}, and {which}.", err=True)
    _ask_for_sum()


def asking(environment: Environment, what: str, yes: bool) -> Callable[[], None]:
    """The breath-o-lizer as a function for `when_possible`."""
    return when_possible(lambda: breathe(environment, what, yes))


def asks(environment: Environment, yes: bool) -> bool:
    """Whether `breathe` would ask, so that a plan is shown before."""
    from monarch.settings.protection import why_hazardous

    return not yes and why_hazardous(environment) is not None


def when_possible(ask: Callable[[], None]) -> Callable[[], None]:
    """Return ``ask``, to be called once it is known that the change is possible.

    Without a terminal nobody can answer: a script that lacks the flag is refused now, not only when there is
    something to do.

    :raises UsageError: without a terminal, if there is a question.
    """
    if not sys.stdin.isatty():
        ask()
    return ask


def confirm(question: str, yes: bool) -> None:
    """Ask a question, and go on only if the answer is yes.

    :raises Declined: if it is no.
    :raises UsageError: without a terminal.
    """
    if yes:
        return
    _require_terminal(f"This needs a confirmation: {question}")
    if not _ask(lambda: click.confirm(harmless(question), err=True)):
        raise Declined("Nothing was changed.")


def replacing(target: Environment, contents: str, *, in_place: bool, into_existing: bool) -> str:
    """Return the question before the database of ``target`` is replaced by ``contents``."""
    where = f"{target.db_name} on {target.name} ({target.server})"
    if into_existing:
        return f"Replace what {where} has of the names in {contents}, and keep the rest: are you SURE?"
    first = ", dropping all of it first, with no way back" if in_place else ""
    return f"Replace {where} by {contents}{first}: are you SURE?"


def only(names: Sequence[str]) -> str:
    """Return the beginning of a description of contents of which only ``names`` are taken; "" for all."""
    if not names:
        return ""
    return f"only {', '.join(names) if len(names) <= _MOST_NAMED else f'{len(names)} collections'} of "


def _ask(question: Callable[[], Any]) -> Any:
    silence.end()
    try:
        return question()
    except click.Abort:
        show(err=True)
        raise RunInterrupted("Interrupted. Nothing was changed.") from None


def _require_terminal(why: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError(why, "There is no terminal to answer in. To confirm without one, add --yes.")
