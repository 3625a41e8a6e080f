"""Dates relative to now, in options, defaults and prompts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import click
import pytest

from monarch.errors import ProjectError, ServerError, UsageError
from monarch.querysets.options import QuerySetOption
from monarch.querysets.prompts import Answers, answer_prompts

EAST = timezone(timedelta(hours=9))


def east(moment: datetime) -> datetime:
    return moment.astimezone(EAST).replace(tzinfo=None)


NOT_ONE = ("yesterday", "30", "30m", "30 d", "-1d", "1d2h", "9999999d", "999999w", "٣d", "")


def is_ago(moment: datetime, hours: int, zone: timezone = UTC) -> bool:
    """Whether ``moment`` is so many hours ago, by the clocks of ``zone``, within the time of a test."""
    assert moment.tzinfo is None
    then = datetime.now(zone).replace(tzinfo=None) - timedelta(hours=hours)
    return abs(moment - then) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "hours"), [("30d", 720), ("12h", 12), (" 2w ", 336), ("0d", 0), ("007h", 7)]
)
@pytest.mark.parametrize("kind", [datetime, datetime | str, datetime | None])
def test_an_option(kind: Any, text: str, hours: int) -> None:
    assert is_ago(QuerySetOption("since", kind).convert(text), hours)
    assert is_ago(QuerySetOption("since", kind).convert(text, east), hours, EAST)
    assert is_ago(QuerySetOption("since", kind, text).usual(east), hours, EAST)


def test_an_option_with_the_date_alone() -> None:
    before = datetime.now(UTC).date()
    found = QuerySetOption("since", date).convert("30d")
    assert found + timedelta(days=30) in (before, datetime.now(UTC).date())
    assert type(found) is date
    two = QuerySetOption("days", list[date]).convert("2w, 2026-01-02")
    assert (two[0] + timedelta(days=14) in (before, datetime.now(UTC).date()), two[1]) == (
        True,
        date(2026, 1, 2),
    )


def test_other_options_are_texts() -> None:
    assert QuerySetOption("since", str).convert("30d") == "30d"
    assert QuerySetOption("since", str, "30d").usual() == "30d"
    assert QuerySetOption("since", datetime, None).usual() is None
    assert QuerySetOption("since", datetime, "").usual() == ""


@pytest.mark.parametrize("text", NOT_ONE)
@pytest.mark.parametrize("kind", [datetime, date, list[date], datetime | int])
def test_another_text_names_the_forms(kind: Any, text: str) -> None:
    if (kind, text) in ((list[date], ""), (datetime | int, "30")):
        return
    with pytest.raises(UsageError) as raised:
        QuerySetOption("since", kind).convert(text)
    assert raised.value.hint == (
        "Like 2014-05-29, 2014-05-29T00:38+00:00, or 30d for thirty days ago (h, d or w)."
    )


@pytest.mark.parametrize("kind", [datetime, date, list[datetime], datetime | int])
def test_a_database_that_does_not_answer_is_no_wrong_option(kind: Any) -> None:
    def gone(_: datetime) -> datetime:
        raise ServerError("It is gone.")

    for call in (QuerySetOption("since", kind).convert, lambda text, clock: option(kind, text).usual(clock)):
        with pytest.raises(ServerError, match="It is gone"):
            call("30d", gone)


def option(kind: Any, default: str) -> QuerySetOption:
    return QuerySetOption("since", kind, default)


def test_a_default_that_is_no_date() -> None:
    with pytest.raises(ProjectError) as raised:
        QuerySetOption("since", datetime, "soon").usual()
    assert raised.value.message == "The default of since is 'soon', which is not of type datetime."
    assert "30d for thirty days ago" in (raised.value.hint or "")


def answer(text: str, kind: click.ParamType | None = None, **more: Any) -> Any:  # type: ignore[type-arg]
    """Return the result of a prompt that is answered with ``text``."""
    with answer_prompts(Answers("Dogs", {"since": text}, clock=east)):
        return click.prompt("Since", type=kind or click.DateTime(), **more)


def test_a_prompt() -> None:
    assert is_ago(answer("30d"), 720, EAST)
    assert answer("2026-01-02") == datetime(2026, 1, 2)
    assert answer("01/2026", click.DateTime(["%m/%Y"])) == datetime(2026, 1, 1)
    assert answer("30d", click.STRING) == "30d"
    assert answer("30d", value_proc=lambda text: text * 2) == "30d30d"


@pytest.mark.parametrize("text", NOT_ONE)
def test_a_prompt_names_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        answer(text)
    if text == "999999w":
        assert "'999999w' is before the first year" in raised.value.message
    else:
        assert "does not match the formats" in raised.value.message
        assert raised.value.message.endswith("Or use 30d for thirty days ago (h, d or w).")
