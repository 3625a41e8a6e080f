"""``check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.text import count
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    json_option,
    this_project,
)

if TYPE_CHECKING:
    from monarch.migrations.status import Verdict


@click.command("check")
@click.argument("environment", type=ENVIRONMENT)
@json_option
def check(environment: str, as_json: bool) -> None:
    """Exit with 0 if ENVIRONMENT is up to date.

    For CI and readiness probes. Otherwise the exit code is 3 if migrations are pending, 6 if one failed or
    was interrupted, 7 if one was edited or its file is gone, 8 if the database has run newer ones than this
    checkout has, 5 if it cannot be reached.

    \b
    Examples:
      monarch check production
      monarch check production --json
    """
    verdict = this_project().check(environment)
    code = _code(verdict)
    if as_json:
        print_json({**vars(verdict), "exit_code": code})
    else:
        for line in _lines(verdict):
            show(line)
    click.get_current_context().exit(code)


def _code(verdict: Verdict) -> int:
    if verdict.unfinished:
        return 6
    if verdict.pending or verdict.running:
        return 3
    if verdict.edited or verdict.gone:
        return 7
    return 8 if verdict.ahead else 0


def _lines(verdict: Verdict) -> list[str]:
    name = verdict.environment
    findings = [
        (verdict.unfinished, f"Failed or interrupted on {name}", f"see why: monarch history {name} --last 5"),
        (verdict.running, f"Running on {name} now", ""),
        (verdict.pending, f"Pending on {name}", f"monarch migrate {name}"),
        (verdict.late, "Older than what has run", ""),
        (verdict.edited, "Edited since they ran", _accept(name, verdict.edited)),
        (verdict.gone, "Have run, but their files are gone", _accept(name, verdict.gone)),
        (verdict.ahead, f"{name} has run newer ones than this checkout has", "update this checkout"),
    ]
    lines = [
        f"{what}: {', '.join(keys)}{f' ({then})' if then else ''}" for keys, what, then in findings if keys
    ]
    return lines or [f"{name} is up to date: {count(verdict.known, 'migration')}."]


def _accept(environment: str, keys: tuple[str, ...]) -> str:
    return f"if this is intended: monarch mark {environment} {' '.join(keys[:1])} --accept-edit"
