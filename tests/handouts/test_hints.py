"""What private copies print: hints name the environment, and nothing is counted as 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from monarch.commands.reports.transfers import describe_replaced
from monarch.errors import ProjectError
from monarch.handouts.masks import load_rules
from monarch.handouts.policy import Passage


@pytest.mark.parametrize(("environment", "named"), [("production", "production"), (None, "ENVIRONMENT")])
def test_hints_name_the_environment(tmp_path: Path, environment: str | None, named: str) -> None:
    with pytest.raises(ProjectError) as error:
        load_rules(Passage.MASKED, "mongo", tmp_path, environment)
    assert error.value.hint == f"Write one: monarch suggest_masks {named}"


@pytest.mark.parametrize(
    ("number", "thing", "text"),
    [
        (0, "collection", "No collection of dev would be replaced."),
        (0, "table", "No table of dev would be replaced."),
        (1, "table", "On dev, 1 table of the same name would be replaced."),
        (2, "collection", "On dev, 2 collections of the same name would be replaced."),
    ],
)
def test_what_would_be_replaced(number: int, thing: str, text: str) -> None:
    assert describe_replaced("dev", number, thing) == text
