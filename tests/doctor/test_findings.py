"""What is found is printed without secrets, and leads to one exit code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monarch.databases.health.observation import Health, Observation
from monarch.doctor.findings import Diagnosis, exit_code, found, guarded


def of(state: Health, code: int = 5) -> Diagnosis:
    return found("dev", Observation("server", state, "Something", code=code))


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([of(Health.OK), of(Health.SKIPPED)], 0),
        ([of(Health.OK), of(Health.WARNING)], 1),
        ([of(Health.WARNING), of(Health.PROBLEM, 10), of(Health.PROBLEM, 6)], 6),
        ([of(Health.PROBLEM, 5), of(Health.PROBLEM, 2)], 2),
        ([of(Health.PROBLEM, 4)], 1),
    ],
    ids=["well", "warning", "failed", "settings", "other"],
)
def test_the_exit_code(findings: list[Diagnosis], code: int) -> None:
    assert exit_code(findings) == code


def test_no_secret_is_in_a_finding() -> None:
    uri = "mongodb://me:very-hush@host/app"
    one = found("dev", Observation("server", Health.PROBLEM, f"Cannot reach\n{uri}", f"Check {uri}"))
    assert "hush" not in f"{one.message}{one.hint}"
    assert one.message.startswith("Cannot reach mongodb://")


def test_an_unexpected_error_hides_nothing_that_was_found() -> None:
    def look() -> Iterator[Diagnosis]:
        yield of(Health.OK)
        raise KeyError("what")

    kept, failed = guarded("masks", look())
    assert kept.state is Health.OK
    assert (failed.subject, failed.state) == ("masks", Health.PROBLEM)
