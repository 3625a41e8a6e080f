"""What ``check`` says of one environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monarch.commands.console.text import count

if TYPE_CHECKING:
    from monarch.migrations.status import Verdict


def code_of(verdict: Verdict) -> int:
    """Return the exit code for ``verdict``."""
    if verdict.unfinished:
        return 6
    if verdict.pending or verdict.running:
        return 3
    if verdict.edited or verdict.gone:
        return 7
    return 8 if verdict.ahead else 0


def lines_of(verdict: Verdict) -> list[str]:
    """Return ``verdict`` in lines for people."""
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
