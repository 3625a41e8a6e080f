"""The bar of a terminal, for what has no size."""

from __future__ import annotations

import pytest

from monarch.commands.console import progress_bar
from monarch.commands.console.progress_bar import ProgressBar


def test_a_pipe_shows_how_much_has_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress_bar, "_REDRAW_EVERY", 0)
    with ProgressBar() as bar:
        bar.phase("adopting")
        bar.estimated(0, 0)
        assert capsys.readouterr().err.rstrip().endswith("adopting …")
        bar.transferred(3_000, 60_000_000)
        shown = capsys.readouterr().err
        assert "adopting …" in shown
        assert shown.rstrip().endswith("60.0 MB  3,000 documents")
        assert "%" not in shown
        bar.phase("comparing")
        assert capsys.readouterr().err.rstrip().endswith("comparing …")


def test_without_a_terminal_it_names_no_total(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bar, "_PRINT_EVERY", 0)
    bar = ProgressBar()
    bar.phase("adopting")
    bar.estimated(0, 0)
    bar.transferred(3_000, 60_000_000)
    assert capsys.readouterr().err == "Adopting: 3,000 documents, 60.0 MB …\n"
    bar.estimated(0, 120_000_000)
    bar.transferred(3_000, 60_000_000)
    assert capsys.readouterr().err == "Adopting: 3,000 documents, 60.0 MB of 120 MB …\n"
