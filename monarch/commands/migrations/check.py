"""``check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.parsing.arguments import (
    environments_argument,
    json_option,
    this_project,
)
from monarch.commands.reports.verdicts import code_of, lines_of
from monarch.commands.several.check import show_verdicts

if TYPE_CHECKING:
    from monarch.migrations.status import Verdict


@click.command("check")
@environments_argument
@json_option
def check(environments: tuple[str, ...], as_json: bool) -> None:
    """Exit with 0 if ENVIRONMENT is up to date.

    For CI and readiness probes. Otherwise the exit code is 3 if migrations are pending, 6 if one failed or
    was interrupted, 7 if one was edited or its file is gone, 8 if the database has run newer ones than this
    checkout has, 5 if it cannot be reached.

    Of several environments, or patterns such as `'eu-*'`, it prints what is not up to date. The exit code is
    the first of 5, 6, 3, 7 and 8 that one of them has.

    \b
    Examples:
      monarch check production
      monarch check production --json
      monarch check 'eu-?' staging
    """
    project = this_project()
    if project.is_one(*environments):
        code = _show_verdict(project.check(environments[0]), as_json)
    else:
        code = show_verdicts(project.list_each(project.targets(*environments)), as_json)
    click.get_current_context().exit(code)


def _show_verdict(verdict: Verdict, as_json: bool) -> int:
    code = code_of(verdict)
    if as_json:
        print_json({**vars(verdict), "exit_code": code})
    else:
        for line in lines_of(verdict):
            show(line)
    return code
