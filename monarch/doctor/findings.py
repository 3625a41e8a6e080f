"""What the doctor finds, and the exit code that it leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monarch.databases.health.observation import Health, Observation
from monarch.errors import MonarchError, ProjectError
from monarch.system.secrets import redact

# From the worst to the least: what is wrong here, what cannot be reached, what has failed, what is missing.
_ORDER = (2, 5, 6, 10)


@dataclass(frozen=True)
class Diagnosis:
    """One line: what was found at ``subject`` by ``check``, and in ``hint`` what to do. Without secrets.

    ``subject`` is the name of an environment, or another part of the project.
    """

    subject: str
    check: str
    state: Health
    message: str
    hint: str | None = None
    code: int = 1


def found(subject: str, observation: Observation) -> Diagnosis:
    """Return what was observed at ``subject``."""
    return Diagnosis(
        subject,
        observation.check,
        observation.state,
        _sentence(observation.message),
        _one_line(observation.hint) if observation.hint else None,
        observation.code,
    )


def fine(subject: str, check: str, message: str) -> Diagnosis:
    """Return that something is well."""
    return found(subject, Observation(check, Health.OK, message))


def skipped(subject: str, check: str, message: str) -> Diagnosis:
    """Return that something was not looked at, or does not matter."""
    return found(subject, Observation(check, Health.SKIPPED, message))


def warning(subject: str, check: str, message: str, hint: str | None = None) -> Diagnosis:
    """Return that something works, and should be looked at."""
    return found(subject, Observation(check, Health.WARNING, message, hint))


def problem(subject: str, check: str, error: MonarchError) -> Diagnosis:
    """Return that something does not work, because of ``error``."""
    return found(subject, Observation(check, Health.PROBLEM, error.message, error.hint, error.exit_code))


def guarded(subject: str, findings: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """Yield ``findings``; if looking for more fails in an unexpected way, that is the last of them."""
    try:
        yield from findings
    except MonarchError as error:
        yield problem(subject, "load", error)
    except OSError as error:
        what = f"{error.filename or subject} cannot be read: {error.strerror or error}."
        yield problem(subject, "load", ProjectError(what, "Make it readable for you."))
    except Exception as error:  # it must not hide what else there is
        yield problem(subject, "load", MonarchError(f"It could not be looked at: {type(error).__name__}."))


def exit_code(findings: Iterable[Diagnosis]) -> int:
    """Return 0 if all is well, 1 if there are only warnings, else the code of the worst problem."""
    findings = tuple(findings)
    codes = {one.code for one in findings if one.state is Health.PROBLEM}
    if codes:
        return next((code for code in _ORDER if code in codes), 1)
    return int(any(one.state is Health.WARNING for one in findings))


def _sentence(text: str) -> str:
    line = _one_line(text)
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _one_line(text: str) -> str:
    return " ".join(redact(text).split())
