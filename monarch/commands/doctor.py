"""``doctor``."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from monarch.commands.console.boundary import wrapped
from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.terminal import columns
from monarch.commands.looks.states import in_colour
from monarch.commands.names import own_names
from monarch.commands.parsing.arguments import AGE, ENVIRONMENT, json_option, this_project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from monarch.doctor.findings import Diagnosis

_STATES = ("ok", "warning", "problem", "skipped")
_INDENT = max(map(len, _STATES)) + 2


@click.command("doctor")
@click.argument("environments", metavar="[ENVIRONMENT]...", nargs=-1, type=ENVIRONMENT)
@click.option("--max-age", metavar="AGE", type=AGE, help="The oldest backup that is well: 26h, 90m or 2d.")
@json_option
def doctor(environments: tuple[str, ...], max_age: timedelta | None, as_json: bool) -> None:
    """Check settings, servers, backups, tools and migrations.

    One line for each check: ok, warning, problem or skipped, and what to do. Looks at ENVIRONMENT, which may
    be several and patterns, or at all of them. Writes nothing, asks nothing, starts no embedded server.

    Exits with 0 if all is well, with 1 if there are only warnings. Otherwise with the first of these: 2 if
    settings or files are wrong, 5 if a server, a store or a tool fails, 6 if a migration failed, 10 if a
    backup is missing or too old.

    \b
    Examples:
      monarch doctor
      monarch doctor production 'eu-?' --max-age 26h
      monarch doctor --json
    """
    from monarch.doctor.findings import exit_code

    def report(finding: Diagnosis) -> None:
        if not as_json:
            _show(finding)

    findings = this_project().examine(environments, max_age=max_age, progress=ProgressLines(), report=report)
    code = exit_code(findings)
    if as_json:
        print_json({"findings": [_as_json(one) for one in findings], "exit_code": code})
    else:
        _sum_up(findings)
    click.get_current_context().exit(code)


def _show(finding: Diagnosis) -> None:
    state = finding.state.value
    hint = f" {finding.hint}" if finding.hint else ""
    text = own_names(f"{finding.subject}: {finding.check}: {finding.message}{hint}")
    # For programs one line is one check.
    first, *rest = wrapped(text, columns() - _INDENT) if sys.stdout.isatty() else [text]
    show(*in_colour(state), " " * (_INDENT - len(state)), first)
    for line in rest:
        show(" " * _INDENT, line)


def _sum_up(findings: Sequence[Diagnosis]) -> None:
    numbers = Counter(one.state.value for one in findings)
    plural = {"warning", "problem"}
    words = [(numbers[state], state) for state in _STATES if numbers[state]]
    show(", ".join(f"{n} {word}{'s' * (n > 1 and word in plural)}" for n, word in words) + ".")


def _as_json(finding: Diagnosis) -> dict[str, object]:
    return {
        "subject": finding.subject,
        "check": finding.check,
        "state": finding.state.value,
        "message": own_names(finding.message),
        "hint": finding.hint and own_names(finding.hint),
    }
