"""``help``: the pages of docs/ in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pexpect
import pytest

from monarch.commands import cli
from monarch.manual.inline import plain
from monarch.manual.layout import Frame, lay_out
from monarch.manual.topics import Manual
from tests.support.runs.shell import Folder

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("*.rst") if path.stem != "index")
COMMANDS = cli.list_commands(click.Context(cli))
# What the markup of a page looks like, if it is not understood.
MARKUP = re.compile(r"``|^ *\.\. [a-z]|:(?:doc|ref|class|meth|py:\w+):`|^ *:(?:header|widths|language)\S*:")


def lines_of(name: str, width: int) -> list[str]:
    page = next(page for page in Manual().pages if page.name == name)
    return ["".join(text for text, _ in line) for line in lay_out(page.blocks, Frame(width, False))]


def test_all_pages_are_listed_with_a_line_each(folder: Folder) -> None:
    shown = folder.invoke("help")
    assert (shown.code, shown.err) == (0, "")
    for name in PAGES:
        assert re.search(rf"^  {name} +\S.+$", shown.out, re.M), name
    topics = folder.invoke("help", "--json").json
    assert sorted(topic["topic"] for topic in topics) == PAGES
    assert all(topic["description"] for topic in topics)


@pytest.mark.parametrize("name", PAGES)
def test_no_markup_is_left(name: str) -> None:
    lines = lines_of(name, 80)
    assert len(lines) > 5
    assert [line for line in lines if MARKUP.search(line)] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_heading_and_paragraph_is_there(name: str) -> None:
    """Nothing of the source is lost: each of its longer words is shown."""
    source = (DOCS / f"{name}.rst").read_text(encoding="utf-8")
    # Without what is not for people, or made of other sources when the manual is built.
    directive = r"(?ms)^( *)\.\. (?!note|warning|tip|code-block)[^\n]*\n(?:\1 +[^\n]*\n|\s*\n)*"
    source = re.sub(directive, "\n", source)
    source = re.sub(r"(?m)^ *\.\. code-block:: .*$", "", source)
    words = set(re.findall(r"(?<![\w`:/<.-])[A-Za-z]{6,}(?![\w`:/>.-])", plain(source)))
    shown = set(re.findall(r"[a-z]{6,}", " ".join(lines_of(name, 2000)).casefold()))
    assert {word for word in words if word.casefold() not in shown} == set()


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("name", ["migrations", "backups", "settings"])
def test_prose_fits_the_width(name: str, width: int) -> None:
    long = [line for line in lines_of(name, width) if len(line) > width]
    # Code is never broken, nor is a word.
    assert all(line.startswith("    ") or " " not in line.strip() for line in long), long[:3]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_topic(folder: Folder, name: str) -> None:
    shown = folder.invoke("help", name)
    assert (shown.code, shown.err) == (0, "")
    assert f"Usage: monarch {name}" in shown.out
    more = re.search(r"More in the manual: monarch help (.+)", shown.out)
    if more:
        assert folder.invoke("help", *more[1].split()).code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["keeping"], "How long"),
        (["retention"], "How long"),
        (["backups", "retention"], "How long"),
        (["exit-codes"], "Exit codes"),
        (["MIGRATIONS"], "migrations"),
        (["relative", "dates"], "monarch help querysets"),
        (["index"], "monarch"),
    ],
)
def test_what_words_find(folder: Folder, words: list[str], expected: str) -> None:
    shown = folder.invoke("help", *words)
    assert shown.code == 0
    assert expected.casefold() in shown.out.casefold()


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["xyzzy"], "Run `monarch help` to list the topics."), (["querysetz"], "Did you mean 'querysets'?")],
)
def test_what_is_not_there(folder: Folder, words: list[str], hint: str) -> None:
    refused = folder.invoke("help", *words)
    assert (refused.code, refused.out) == (2, "")
    error, hinted = refused.err.splitlines()
    assert "The manual has nothing about" in error
    assert hint in hinted


def test_a_pager_shows_what_is_longer_than_the_screen(folder: Folder) -> None:
    folder.variables |= {"PAGER": "sed s/^/paged:/"}
    terminal = folder.terminal("help", "backups")
    terminal.expect("paged:")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    for term, pager in (("dumb", "sed s/^/paged:/"), ("xterm", "cat"), ("xterm", "no-such-pager")):
        folder.variables["PAGER"] = pager
        terminal = folder.terminal("help", "backups", term=term)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
        assert "paged:" not in str(terminal.before)
        assert "monarch backup production" in str(terminal.before)
    assert "paged:" not in folder.monarch("help", "backups").out


def test_who_leaves_a_pager_early_has_read_enough(folder: Folder) -> None:
    folder.variables |= {"PAGER": "head -2"}
    terminal = folder.terminal("help", "api")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "Error" not in str(terminal.before)
