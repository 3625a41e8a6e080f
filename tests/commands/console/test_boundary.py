"""Errors that reach the outermost function of the command line."""

from __future__ import annotations

from typing import NoReturn

import pytest
from pymongo.errors import OperationFailure

from monarch.commands.console.boundary import guarded


def test_an_error_that_cannot_be_described_is_one_line_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run() -> NoReturn:
        raise OperationFailure("of ann", 2, {"errmsg": "of ann", "keyPattern": 7})

    assert guarded(run) == 1
    assert capsys.readouterr().err.splitlines()[0] == "Error: OperationFailure"
