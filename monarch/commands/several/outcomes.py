"""What became of each of several databases: a line when it ends, and a table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monarch.commands.console.lines import aside, note, show
from monarch.commands.console.output import print_table
from monarch.commands.console.text import count, duration, printable, sentences
from monarch.commands.names import own_names
from monarch.commands.reports.story import Story
from monarch.errors import MonarchError, SomeFailed

# Of more, an error gives the number.
_MOST_NAMED = 8


def show_failure(environment: str, number: str, error: str, hint: str | None) -> None:
    """Print why one database failed, while others wait. ``number`` is "2 of 12"."""
    why = own_names(sentences(error, hint))
    show(("FAILED", "red"), f" {printable(environment)} ({number}): {why}", err=True)


def show_end(story: Story, number: str) -> None:
    """Print how the run on one database ended."""
    if story.error is not None:
        show_failure(story.environment, number, story.error, story.hint)
    elif story.done:
        spent = duration(sum(done.seconds for done in story.done))
        done = f"{count(len(story.done), 'migration')} done in {spent}"
        aside(f"{printable(story.environment)} ({number}): {done}.")
    for key in story.only_in_database:
        note(f"{story.environment} has run {key}, which is not in this checkout.")


def show_table(stories: Sequence[Story], left: Sequence[str]) -> None:
    """Print a line for each database, also for those that were not begun."""
    rows = [
        (
            story.environment,
            outcome(story),
            str(len(story.done)),
            duration(sum(done.seconds for done in story.done)),
        )
        for story in stories
    ]
    rows += [(name, "not begun", "-", "-") for name in left]
    print_table(("ENVIRONMENT", "OUTCOME", "RAN", "TOOK"), rows, right=(2, 3), states=(1,))


def outcome(story: Story) -> str:
    """Return how the run of ``story`` ended, in a word or two."""
    if story.exit_code == 130:
        return "interrupted"
    if story.error is not None:
        return "FAILED"
    return "migrated" if story.done else "nothing to do"


def as_total(stories: Sequence[Story], left: Sequence[str], error: BaseException | None) -> dict[str, Any]:
    """Return the last event of ``--json``."""
    rows = [
        {
            "environment": story.environment,
            "outcome": outcome(story).lower(),
            "done": [done.migration for done in story.done],
            "exit_code": story.exit_code,
            "error": story.error,
            "hint": story.hint,
        }
        for story in stories
    ]
    rows += [
        {
            "environment": name,
            "outcome": "not begun",
            "done": [],
            "exit_code": None,
            "error": None,
            "hint": None,
        }
        for name in left
    ]
    whole = Story("")
    if error is not None:
        whole.fail(error)
    return {
        "ok": error is None,
        "exit_code": whole.exit_code,
        "error": whole.error,
        "hint": whole.hint,
        "environments": rows,
    }


def summary(stories: Sequence[Story]) -> str:
    """Return what was done in all, in a sentence."""
    migrated = [story for story in stories if story.done]
    ran = sum(len(story.done) for story in stories)
    if not migrated:
        have = "has" if len(stories) == 1 else "have"
        return f"Nothing to do: {count(len(stories), 'database')} {have} run everything."
    rest = sum(outcome(story) == "nothing to do" for story in stories)
    more = f" {rest} had nothing to do." if rest else ""
    return f"{count(ran, 'migration')} done on {count(len(migrated), 'database')}. That felt natural.{more}"


def failure(stories: Sequence[Story], left: Sequence[str]) -> MonarchError | None:
    """Return the error of a run on several databases; None if none of them failed."""
    failed = [story for story in stories if story.error is not None]
    if not failed and left:
        return MonarchError(
            f"{len(left)} of {count(len(stories) + len(left), 'database')} were not begun.",
            "What is done is recorded: the same command goes on.",
        )
    if not failed:
        return None
    names = ", ".join(printable(story.environment) for story in failed[:_MOST_NAMED])
    more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    whole = len(stories) + len(left)
    hint = "The lines above say why. What is done is recorded: the same command goes on."
    if left:
        hint = f"{hint} --keep-going goes on after a failure: {count(len(left), 'database')} not begun."
    errors = []
    for story in failed:
        error = MonarchError(story.error or "", story.hint)
        error.exit_code = story.exit_code
        errors.append(error)
    return SomeFailed(f"{len(failed)} of {count(whole, 'database')} failed: {names}{more}.", hint, errors)
