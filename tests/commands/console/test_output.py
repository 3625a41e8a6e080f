"""What programs read: a list that is printed row by row is the JSON that is printed at once."""

from __future__ import annotations

from typing import Any

import pytest

from monarch.commands.console.output import print_json, print_json_list


@pytest.mark.parametrize(
    "rows",
    [[], [{}], [{"a": [1, {"b": "line\nanother"}], "c": None}, {"d": "\x1b[2J"}]],
    ids=["none", "an empty one", "several"],
)
def test_a_list_is_printed_row_by_row(capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]]) -> None:
    print_json(rows)
    at_once = capsys.readouterr().out
    print_json_list(iter(rows))
    assert capsys.readouterr().out == at_once
