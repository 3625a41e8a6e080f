"""Prompts of a query set: asked in a terminal, or answered beforehand by ``-o NAME=VALUE``.

A prompt is called by the words of its question that matter: "Please enter a account id" is ``account_id``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from monarch.errors import Declined, UsageError

_SMALL_WORDS = """
    a all an and are at be by can choose do does enter for from give how i in input is it like me my need of
    on or our out please provide select should specify tell that the their these this those to type use want
    we what when where which who whose with would you your
"""


def name_of(question: str) -> str:
    """The option that answers ``question``."""
    words = re.findall(r"\w+", question.lower())
    return "_".join([word for word in words if word not in _SMALL_WORDS.split()] or words) or "answer"


@dataclass
class Answers:
    """What is ``given`` to the prompts of the query set ``asker``, and what they have ``heard``, by name."""

    asker: str
    given: Mapping[str, str]
    heard: dict[str, str] = field(default_factory=dict)

    def answer(
        self, question: str, convert: Callable[[str], Any], ask: Callable[[], Any], *, hide: bool
    ) -> Any:
        """The answer to ``question``: what is given, or what ``ask`` returns.

        :raises UsageError: if nothing is given and nobody can be asked.
        """
        import click

        name = name_of(question)
        if name in self.given:
            self.heard[name] = "********" if hide else self.given[name]
            try:
                return convert(self.given[name])
            except (click.UsageError, ValueError) as error:
                why = "that is no answer" if hide else getattr(error, "message", error)
                raise UsageError(f"-o {name}=…: {why}", f"It answers: {question}") from error
        require_terminal(self.asker, question, name)
        found = ask()
        self.heard[name] = "********" if hide else str(found)
        return found


def require_terminal(asker: str, question: str, name: str) -> None:
    """See that somebody can be asked.

    :raises UsageError: naming the option that answers beforehand.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            f"{asker} asks “{question.strip()}”, and there is no terminal to answer in.",
            f"Say it beforehand: -o {name}=VALUE",
        )


@contextmanager
def answered(answers: Answers) -> Iterator[None]:
    """Let click's prompt and confirm, where they are taken from it meanwhile, be answered by ``answers``."""
    import click
    from click import termui
    from click.types import BOOL, convert_type

    prompt, confirm = termui.prompt, termui.confirm

    def answered_prompt(*args: Any, **more: Any) -> Any:
        said = signature(prompt).bind(*args, **more).arguments
        convert = said.get("value_proc") or convert_type(said.get("type"), said.get("default"))
        hide = bool(said.get("hide_input"))
        return answers.answer(said["text"], convert, lambda: prompt(*args, **more), hide=hide)

    def answered_confirm(*args: Any, **more: Any) -> bool:
        said = signature(confirm).bind(*args, **more).arguments
        abort = said.pop("abort", False)
        sure = bool(answers.answer(said["text"], BOOL, lambda: confirm(**said), hide=False))
        if abort and not sure:
            raise Declined("Nothing was changed.")
        return sure

    patched = [(module, name) for module in (click, termui) for name in ("prompt", "confirm")]
    ours = {"prompt": answered_prompt, "confirm": answered_confirm}
    for module, name in patched:
        setattr(module, name, ours[name])
    try:
        yield
    finally:
        for module, name in patched:
            setattr(module, name, {"prompt": prompt, "confirm": confirm}[name])
