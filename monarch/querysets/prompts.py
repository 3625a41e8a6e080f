"""Prompts of a query set: answered in a terminal, or by ``-o NAME=VALUE``.

The name of a prompt is made of the significant words of its question: "Please enter a account id" is
``account_id``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from types import ModuleType
from typing import Any

from monarch.errors import Declined, UsageError
from monarch.querysets.times import Clock, utc, with_relative_dates

_SMALL_WORDS = """
    a all an and are at be by can choose do does enter for from give how i in input is it like me my need of
    on or our out please provide select should specify tell that the their these this those to type use want
    we what when where which who whose with would you your
"""


def name_of(question: str) -> str:
    """Return the name of the option that answers ``question``."""
    words = re.findall(r"\w+", question.lower())
    return "_".join([word for word in words if word not in _SMALL_WORDS.split()] or words) or "answer"


@dataclass
class Answers:
    """The answers to the prompts of ``query_set``: those ``given`` by options, and those ``used``, by name.

    ``refused`` is the error of a prompt without an answer, kept in case the query set swallows it. Dates
    relative to now are those of ``clock``.
    """

    query_set: str
    given: Mapping[str, str]
    used: dict[str, str] = field(default_factory=dict)
    refused: UsageError | None = None
    clock: Clock = utc

    def answer(
        self, question: str, convert: Callable[[str], Any], ask: Callable[[], Any], *, hide: bool
    ) -> Any:
        """Return the answer to ``question``: the given one, or the result of ``ask``.

        :raises UsageError: if none is given and there is no terminal.
        """
        name = name_of(question)
        try:
            if name not in self.given:
                require_terminal(self.query_set, question, name)
        except UsageError as error:
            self.refused = error
            raise
        found = self._convert(name, question, convert, hide) if name in self.given else ask()
        self.used[name] = "********" if hide else self.given.get(name, str(found))
        return found

    def _convert(self, name: str, question: str, convert: Callable[[str], Any], hide: bool) -> Any:
        """Return the given answer, converted to the prompt's type."""
        try:
            return convert(self.given[name])
        except Exception as error:  # a value_proc may raise anything
            why = "that is no answer" if hide else getattr(error, "message", error)
            self.refused = UsageError(f"-o {name}=…: {why}", f"It answers: {question}")
            raise self.refused from (None if hide else error)


def require_terminal(query_set: str, question: str, name: str) -> None:
    """Check that there is a terminal to prompt in.

    :raises UsageError: if there is none; the hint names the option that answers the question.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{query_set} asks “{question.strip()}”, and there is no terminal to answer in.",
            f"Answer it with: -o {name}=VALUE",
        )


@contextmanager
def answer_prompts(answers: Answers) -> Iterator[None]:
    """Replace click's ``prompt`` and ``confirm`` in this context by functions that use ``answers``."""
    import click
    from click import termui

    ours = {"prompt": _prompt, "confirm": _confirm}
    if not _asked:
        _clicks.update({name: getattr(termui, name) for name in ours})
    _asked.append(answers)
    _replace((click, termui), ours)
    try:
        yield
    finally:
        _asked.pop()
        if not _asked:
            _replace((click, termui), _clicks)


# The current answers are last. A module that was imported for one query set may prompt for the next one.
_asked: list[Answers] = []
_clicks: dict[str, Callable[..., Any]] = {}


def _replace(modules: tuple[ModuleType, ...], functions: Mapping[str, Callable[..., Any]]) -> None:
    for module in modules:
        for name, function in functions.items():
            setattr(module, name, function)


def _prompt(*args: Any, **more: Any) -> Any:
    from click.types import convert_type

    prompt = _clicks["prompt"]
    if not _asked:
        return prompt(*args, **more)
    bound = signature(prompt).bind(*args, **more).arguments
    convert = bound.get("value_proc")
    if convert is None:
        kind = convert_type(bound.get("type"), bound.get("default"))
        convert = bound["type"] = with_relative_dates(kind, _asked[-1].clock)
    hide = bool(bound.get("hide_input"))
    return _asked[-1].answer(bound["text"], convert, lambda: prompt(**bound), hide=hide)


def _confirm(*args: Any, **more: Any) -> bool:
    from click.types import BOOL

    confirm = _clicks["confirm"]
    if not _asked:
        return bool(confirm(*args, **more))
    bound = signature(confirm).bind(*args, **more).arguments
    abort = bound.pop("abort", False)
    sure = bool(_asked[-1].answer(bound["text"], BOOL, lambda: confirm(**bound), hide=False))
    if abort and not sure:
        raise Declined("Nothing was changed.")
    return sure
