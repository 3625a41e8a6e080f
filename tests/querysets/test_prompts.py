from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import pytest
from click import termui

from monarch.errors import Declined, UsageError
from monarch.querysets.prompts import Answers, answer_prompts, name_of


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Please enter a account id", "account_id"),
        ("Please enter an account id: ", "account_id"),
        ("Which Account-ID do you want?", "account_id"),
        ("Account", "account"),
        ("How many?", "many"),
        ("Are you sure?", "sure"),
        ("What do you want?", "what_do_you_want"),  # only stop words, so all are used
        ("Größe", "größe"),
        ("?!", "answer"),
        ("", "answer"),
    ],
)
def test_the_name_of_a_prompt_has_its_significant_words(question: str, name: str) -> None:
    assert name_of(question) == name


def evaluate_prompts(given: dict[str, str], ask: Callable[[], Any]) -> tuple[Any, dict[str, str]]:
    """Return the result of ``ask``, and the recorded options, with the answers ``given``."""
    answers = Answers("Dogs", given)
    with answer_prompts(answers):
        found = ask()
    return found, answers.used


@pytest.mark.parametrize(
    ("more", "text", "value"),
    [
        ({}, "42", "42"),
        ({"type": int}, "42", 42),
        ({"type": float}, "4.5", 4.5),
        ({"type": bool}, "yes", True),
        ({"type": click.Choice(["a", "b"])}, "b", "b"),
        ({"type": click.IntRange(1, 5)}, "5", 5),
        ({"default": 7}, "42", 42),  # Click uses the type of the default
        ({"type": int, "default": 7}, "42", 42),
        ({"value_proc": lambda text: text.upper()}, "x", "X"),
        ({"type": int, "value_proc": lambda text: [text]}, "x", ["x"]),
    ],
)
def test_a_prompt_is_answered_by_its_type(more: dict[str, Any], text: str, value: Any) -> None:
    found, output = evaluate_prompts({"account_id": text}, lambda: click.prompt("Enter account id", **more))
    assert (found, type(found)) == (value, type(value))
    assert output == {"account_id": text}


def test_arguments_may_be_positional() -> None:
    found, _ = evaluate_prompts(
        {"account_id": "42"}, lambda: click.prompt("Account id", None, False, False, int)
    )
    assert found == 42
    assert evaluate_prompts({"account_id": "42"}, lambda: click.prompt(text="Account id", type=int))[0] == 42


def test_a_hidden_answer_is_not_shown() -> None:
    ask: Callable[[], Any] = lambda: click.prompt("Password", hide_input=True)  # noqa: E731
    assert evaluate_prompts({"password": "hush"}, ask) == ("hush", {"password": "********"})
    ask = lambda: click.prompt("PIN", hide_input=True, type=int)  # noqa: E731
    with pytest.raises(UsageError) as raised:
        evaluate_prompts({"pin": "hush"}, ask)
    assert "hush" not in f"{raised.value.message} {raised.value.hint}"
    assert "-o pin=…" in raised.value.message


def refuse(text: str) -> Any:
    raise click.UsageError(f"{text} is not mine")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"type": int}, "-o account_id=…: 'x' is not a valid integer"),
        ({"type": click.Choice(["a", "b"])}, "-o account_id=…: 'x' is not one of 'a', 'b'"),
        ({"value_proc": int}, "-o account_id=…: invalid literal for int() with base 10: 'x'"),
        ({"value_proc": refuse}, "-o account_id=…: x is not mine"),
    ],
)
def test_an_invalid_answer(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        evaluate_prompts({"account_id": "x"}, lambda: click.prompt("Enter account id", **more))
    assert message in raised.value.message
    assert raised.value.hint == "It answers: Enter account id"


def test_confirm() -> None:
    assert evaluate_prompts({"sure": "yes"}, lambda: click.confirm("Are you sure?")) == (
        True,
        {"sure": "yes"},
    )
    assert evaluate_prompts({"sure": "n"}, lambda: click.confirm("Are you sure?", default=True))[0] is False
    assert evaluate_prompts({"sure": "y"}, lambda: click.confirm("Are you sure?", abort=True))[0] is True
    with pytest.raises(Declined):
        evaluate_prompts({"sure": "no"}, lambda: click.confirm("Are you sure?", abort=True))
    with pytest.raises(UsageError, match="-o sure=…: 'perhaps' is not a valid boolean"):
        evaluate_prompts({"sure": "perhaps"}, lambda: click.confirm("Are you sure?"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: click.prompt("Please enter a account id"),
        lambda: termui.prompt("Please enter a account id"),
        lambda: click.prompt("Please enter a account id", default=5),
        lambda: click.confirm("Please enter a account id"),
    ],
)
def test_without_a_terminal_it_is_an_error_that_names_the_option(ask: Callable[[], Any]) -> None:
    with pytest.raises(UsageError) as raised:
        evaluate_prompts({"account": "42"}, ask)
    assert raised.value.message == (
        "Dogs asks “Please enter a account id”, and there is no terminal to answer in."
    )
    assert raised.value.hint == "Answer it with: -o account_id=VALUE"


def test_click_is_restored_afterwards() -> None:
    before = click.prompt, click.confirm, termui.prompt, termui.confirm
    with suppress(ZeroDivisionError), answer_prompts(Answers("Dogs", {})):
        assert click.prompt is not before[0]
        raise ZeroDivisionError
    assert (click.prompt, click.confirm, termui.prompt, termui.confirm) == before
