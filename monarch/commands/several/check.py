"""``check`` of several environments: a line for each that is not up to date, and one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.text import count, sentences
from monarch.commands.names import own_names
from monarch.commands.reports.verdicts import code_of, lines_of

if TYPE_CHECKING:
    from monarch.migrations.status import EnvironmentStatus

# As for one environment. Codes that are not here, such as that of a missing variable, come after all of them.
_WORST_FIRST = (5, 6, 3, 7, 8)


def show_verdicts(statuses: Sequence[EnvironmentStatus], as_json: bool) -> int:
    """Print whether the environments are up to date; return the exit code of the worst."""
    codes = [_code(status) for status in statuses]
    if as_json:
        print_json([_as_json(status) for status in statuses])
    else:
        for status, code in zip(statuses, codes, strict=True):
            for line in _lines(status) if code else ():
                show(line)
        good = codes.count(0)
        show(f"Up to date: {good} of {count(len(codes), 'database')}.")
    bad = [code for code in codes if code]
    return min(bad, key=_rank, default=0)


def _rank(code: int) -> int:
    return _WORST_FIRST.index(code) if code in _WORST_FIRST else len(_WORST_FIRST)


def _code(status: EnvironmentStatus) -> int:
    return status.exit_code if status.verdict is None else code_of(status.verdict)


def _lines(status: EnvironmentStatus) -> list[str]:
    if status.verdict is not None:
        return lines_of(status.verdict)
    why = own_names(sentences(status.error or "", status.hint))
    return [f"{status.environment} could not be read: {why}"]


def _as_json(status: EnvironmentStatus) -> dict[str, Any]:
    verdict = vars(status.verdict) if status.verdict is not None else {"environment": status.environment}
    return {**verdict, "error": status.error, "hint": status.hint, "exit_code": _code(status)}
