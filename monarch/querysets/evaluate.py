"""Evaluate a query set: run its class, and collect what it selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import format_exception_only
from typing import Any

from monarch.databases import describe_error as reason_of
from monarch.databases import find_kind
from monarch.databases.environment import Environment
from monarch.databases.selection import Selection
from monarch.errors import MonarchError, RunInterrupted, UsageError
from monarch.querysets.files import find_query_set, load_query_set
from monarch.querysets.options import QuerySetOption, options_of, values_of
from monarch.querysets.prompts import Answers, answer_prompts, require_terminal
from monarch.querysets.queryset import QuerySet
from monarch.querysets.times import Clock
from monarch.settings.credentials import learn
from monarch.system.forks import only_this_process
from monarch.system.modules import importable
from monarch.system.spelling import nearest, suggest
from monarch.system.tracebacks import describe_error_in


@dataclass(frozen=True)
class EvaluatedQuerySet:
    """The selection of the query set ``name``, and the values of its options and prompts, as texts."""

    name: str
    options: Mapping[str, str]
    selection: Selection


def evaluate(
    root: Path, name: str, given: Mapping[str, str], environment: Environment, handles: Mapping[str, object]
) -> EvaluatedQuerySet:
    """Run the query set ``name`` of the project at ``root``, and return what it selects of ``environment``.

    ``given`` are the answers to its options and prompts; ``handles`` are set on it as attributes. The
    database is read only by the query set's own code.

    :raises ProjectError: if there is no such query set, or it cannot be used.
    :raises UsageError: if an option is missing, unknown or of the wrong type.
    :raises MonarchError: if its code raises.
    """
    file = find_query_set(root, name)
    answers = Answers(
        name, given, clock=partial(find_kind(environment.kind).local_time, environment, handles)
    )
    with answer_prompts(answers):  # from its import on, because it may bind click's functions then
        kind = load_query_set(file, root)
        options = options_of(kind)
        try:
            with importable(root), only_this_process():
                query_set = kind()
                texts = _set_options(query_set, options, answers)
                for key, value in {"environment": environment, **handles}.items():
                    setattr(query_set, key, value)
                if kind.run is not QuerySet.run:
                    query_set.run()
                selection = _selection_of(query_set)
                if answers.refused is not None:  # and the query set swallowed it
                    raise answers.refused
        except (KeyboardInterrupt, MonarchError):
            raise
        except BaseException as error:
            if type(error).__name__ == "Abort":  # click raises it for Ctrl-C in a prompt
                raise RunInterrupted("Interrupted. Nothing was changed.") from error
            for option, value in given.items():
                learn(option, value)
            raise MonarchError(
                f"{name} failed: {describe_error_in(file.path, error, reason_of)}",
                _hint_for(error, given),
            ) from error
    _refuse_unknown(name, options, answers)
    return EvaluatedQuerySet(name, {**texts, **answers.used}, selection)


def _hint_for(error: BaseException, given: Mapping[str, str]) -> str:
    """Return what to do about ``error`` of a query set: it may quote the value of an option."""
    # The whole text, which `describe_error` would shorten; it survives a __str__ that raises.
    text = "".join(format_exception_only(error))
    quoted = [name for name, value in given.items() if repr(value) in text]
    if len(quoted) == 1:
        return f"Nothing was changed. Use another value for -o {quoted[0]}, or fix the query set."
    return "Nothing was changed. Fix it and try again."


def _set_options(
    query_set: QuerySet, options: tuple[QuerySetOption, ...], answers: Answers
) -> dict[str, str]:
    """Set the options on ``query_set``, prompting for missing ones; return their values as texts."""
    given = answers.given
    values = values_of(options, given, answers.clock)
    missing = [option.name for option in options if option.name not in values]
    for name in given.keys() - {option.name for option in options}:
        # Prompts of `run` may use it. But somebody who has mistyped an option is not prompted for it.
        if missing and nearest(name, missing) is not None:
            raise UsageError(f"{type(query_set).__name__} has no option {name!r}.", suggest(name, missing))
    texts = {option.name: given[option.name] for option in options if option.name in given}
    for option in options:
        if option.name not in values:
            texts[option.name], values[option.name] = _prompt_for(
                type(query_set).__name__, option, answers.clock
            )
    for name, value in values.items():
        setattr(query_set, name, value)
    return texts


def _prompt_for(query_set: str, option: QuerySetOption, clock: Clock) -> tuple[str, Any]:
    """Prompt for ``option`` until the answer is valid; return the answer and its value."""
    import click

    require_terminal(query_set, option.name.replace("_", " "), option.name)
    while True:
        try:
            # Click's own function, which is not answered by the options.
            text = str(click.termui.visible_prompt_func(f"{option.name} ({option.wanted}): "))
        except (EOFError, KeyboardInterrupt):
            raise RunInterrupted("Interrupted. Nothing was changed.") from None
        try:
            return text, option.convert(text, clock)
        except UsageError as error:
            click.echo(f"{error.message} {error.hint}", err=True)


def _selection_of(query_set: QuerySet) -> Selection:
    only, exclude = query_set.only(), query_set.exclude()
    return Selection(
        tuple(query_set._queries),
        tuple(query_set._references),
        None if only is None else _names("only", only),
        _names("exclude", exclude or ()),
        tuple(query_set._table_queries),
    )


def _names(method: str, names: Any) -> tuple[str, ...]:
    listed = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else (None,)
    if not all(isinstance(name, str) for name in listed):
        raise TypeError(f"{method}() gives {names!r}, not a list of names")
    return listed


def _refuse_unknown(name: str, options: tuple[QuerySetOption, ...], answers: Answers) -> None:
    """Refuse an answer that neither an option nor a prompt has used."""
    known = {option.name for option in options} | set(answers.used)
    for given in answers.given:
        if given not in known:
            otherwise = f"{name} has no options."
            raise UsageError(f"{name} has no option {given!r}.", suggest(given, known, otherwise=otherwise))
