"""Tables fit the width of a terminal. In a pipe they are as wide as what they hold."""

from __future__ import annotations

import re

import pytest

from monarch.commands.console.lines import show
from monarch.commands.console.terminal import tint
from monarch.commands.console.text import shorten, width
from monarch.commands.looks.states import in_colour, shade_of
from monarch.commands.looks.tables import print_table
from monarch.databases.history import MigrationState
from tests.support.runs.shell import Folder

HEADERS = ("MIGRATION", "STATE", "PROCESSED AT (UTC)")
KEY = "_201405290038_add_indexes_to_user_table_migration"
ROWS = [(KEY, "Completed, edited", "2026-11-28 05:00:00"), (KEY, "New, late", "-")]
PAINT = re.compile(r"\x1b\[[0-9;]*m")
RED, YELLOW, GREEN = "\x1b[31m", "\x1b[33m", "\x1b[32m"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


def table(capsys: pytest.CaptureFixture[str], columns: int, terminal: pytest.MonkeyPatch) -> list[str]:
    terminal.setattr("sys.stdout.isatty", lambda: True)
    terminal.setenv("COLUMNS", str(columns))
    print_table(HEADERS, ROWS, states=(1,), keys=(0,))
    return capsys.readouterr().out.splitlines()


def test_a_terminal_shows_names_and_colours(
    capsys: pytest.CaptureFixture[str], terminal: pytest.MonkeyPatch
) -> None:
    lines = table(capsys, 200, terminal)
    assert [PAINT.sub("", line) for line in lines] == [
        "MIGRATION                               STATE              PROCESSED AT (UTC)",
        "201405290038_add_indexes_to_user_table  Completed, edited  2026-11-28 05:00:00",
        "201405290038_add_indexes_to_user_table  New, late          -",
    ]
    assert f"{GREEN}Completed\x1b[0m, {YELLOW}edited\x1b[0m" in lines[1]
    assert f"{YELLOW}New\x1b[0m, {YELLOW}late\x1b[0m" in lines[2]


@pytest.mark.parametrize("columns", range(62, 80))
def test_long_cells_lose_their_middle(
    capsys: pytest.CaptureFixture[str], terminal: pytest.MonkeyPatch, columns: int
) -> None:
    lines = [PAINT.sub("", line) for line in table(capsys, columns, terminal)]
    assert max(map(width, lines)) <= columns
    assert len(lines) == 3
    name = lines[1].partition("  ")[0]
    assert ("…" in name) == (columns < 78)
    assert name.startswith("2014052")
    assert name.endswith("ser_table")
    assert "Completed, edited  2026-11-28 05:00:00" in lines[1]


def test_a_very_narrow_terminal_has_a_block_for_each_row(
    capsys: pytest.CaptureFixture[str], terminal: pytest.MonkeyPatch
) -> None:
    lines = table(capsys, 50, terminal)
    assert [PAINT.sub("", line) for line in lines[:3]] == [
        "201405290038_add_indexes_to_user_table",
        "  state               Completed, edited",
        "  processed at (utc)  2026-11-28 05:00:00",
    ]
    assert GREEN in lines[1]


def test_a_pipe_has_whole_keys_and_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEADERS, ROWS, states=(1,), keys=(0,))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{KEY}  Completed, edited  2026-11-28 05:00:00"
    assert lines[2] == f"{KEY}  New, late          -"


def test_wide_characters_fit(capsys: pytest.CaptureFixture[str], terminal: pytest.MonkeyPatch) -> None:
    terminal.setattr("sys.stdout.isatty", lambda: True)
    terminal.setenv("COLUMNS", "40")
    print_table(("NAME", "SIZE"), [("日本語の名前" * 4, "1.0 kB"), ("e\u0301" * 30, "2.0 kB")], right=(1,))
    lines = [PAINT.sub("", line) for line in capsys.readouterr().out.splitlines()]
    assert [width(line) for line in lines] == [40, 40, 40]
    assert "…" in lines[1]


@pytest.mark.parametrize("most", range(1, 14))
@pytest.mark.parametrize("text", ["abcdefghijklm", "日本語日本語", "aé日b🦋cd"])
def test_a_shortened_text_is_never_wider(text: str, most: int) -> None:
    short = shorten(text, most)
    assert width(short) <= most
    assert short == text or "…" in short


def test_every_state_of_a_migration_has_a_colour() -> None:
    shades = {state.value: shade_of(state.value) for state in MigrationState}
    assert shades == {
        "New": "yellow",
        "Processing": "cyan",
        "Failed": "red",
        "Completed": "green",
        "Interrupted": "red",
    }


def test_a_state_from_a_stranger_controls_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(*in_colour("New, \x1b[2Jlate, ##vso[a]"))
    assert capsys.readouterr().out == "New, \\x1b[2Jlate, # #vso[a]\n"


@pytest.mark.parametrize("shade", ["red", "yellow", "green", "cyan"])
def test_colours_are_readable_on_light_and_dark(shade: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contrast of WCAG with white and with black, of xterm's palette of 256."""
    monkeypatch.setenv("TERM", "xterm-256color")
    number = tint(shade)
    assert isinstance(number, int)
    steps = (0, 95, 135, 175, 215, 255)
    levels = [steps[(number - 16) // power % 6] / 255 for power in (36, 6, 1)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) > 3
    assert (luminance + 0.05) / 0.05 > 3


def test_a_migration_is_found_by_the_name_that_a_table_shows(project: Folder) -> None:
    key = project.migration("one", "self.database.ran.insert_one({})")
    shown = key.removeprefix("_").removesuffix("_migration")
    assert project.invoke("migrate", "dev", "--only", shown).code == 0
    assert shown in project.terminal("list_migrations", "dev").read()
    assert key in project.invoke("list_migrations", "dev").out
    (project.path / "migrations" / f"{key}.py").unlink()
    assert key in project.invoke("history", "dev", shown).out
    assert project.invoke("mark", "dev", shown, "--accept-edit").code == 0
