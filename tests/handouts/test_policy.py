"""Which contents must be masked."""

from __future__ import annotations

import pytest

from monarch.databases.environment import Environment
from monarch.handouts.policy import Passage, find_passage, is_private_backup

PRIVATE = Environment("production", "mongo", "app", "host", private=True)
OPEN = Environment("dev", "mongo", "app", "localhost")


@pytest.mark.parametrize(
    ("private", "target", "raw", "passage"),
    [
        (False, OPEN, False, Passage.OPEN),
        (False, OPEN, True, Passage.OPEN),
        (False, PRIVATE, False, Passage.OPEN),
        (True, PRIVATE, False, Passage.OPEN),
        (True, PRIVATE, True, Passage.OPEN),
        (True, OPEN, False, Passage.MASKED),
        (True, OPEN, True, Passage.RAW),
    ],
)
def test_passages(private: bool, target: Environment, raw: bool, passage: Passage) -> None:
    assert find_passage(private=private, target=target, raw=raw) is passage


@pytest.mark.parametrize(
    ("environment", "private", "masked", "expected"),
    [
        ("production", True, False, True),
        ("production", False, False, True),  # it was declared private later
        ("production", True, True, False),
        ("production", False, True, False),
        ("dev", False, False, False),
        ("dev", True, False, True),  # it was private then
        ("renamed", False, False, True),
        (None, False, False, True),  # nobody knows where it comes from
    ],
)
def test_backups(environment: str | None, private: bool, masked: bool, expected: bool) -> None:
    found = is_private_backup(
        environment=environment, private=private, masked=masked, environments=(PRIVATE, OPEN)
    )
    assert found is expected


@pytest.mark.parametrize("environment", ["dev", "renamed", None])
def test_without_a_private_environment_only_the_manifest_counts(environment: str | None) -> None:
    for private in (False, True):
        found = is_private_backup(
            environment=environment, private=private, masked=False, environments=(OPEN,)
        )
        assert found is private
