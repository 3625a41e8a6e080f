"""The manual is consistent with the commands and with itself."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from docs import manpage
from monarch.commands import cli
from monarch.errors import EXIT_CODES
from tests.docs.blocks import DOCS, PAGES, ROOT, SHELLS, blocks

CONTEXT = click.Context(cli)
COMMANDS = sorted(cli.list_commands(CONTEXT))
README = ROOT / "README.rst"
# A command as YAML has it: [monarch, check, production]
LIST = re.compile(r"\[(monarch, [^]]*)\]")


def command(name: str) -> click.Command:
    found = cli.get_command(CONTEXT, name)
    assert found is not None
    return found


def as_a_line(found: re.Match[str]) -> str:
    return found[1].replace(",", "")


def section(name: str) -> str:
    """Return the section about a command, up to the next heading; its title contains the name."""
    heading = rf"^[^\n]*``{name}``\n[-~]{{4,}}\n"
    for page in sorted(DOCS.glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        found = re.search(rf"{heading}(.*?)(?=^\S[^\n]*\n[=-]{{4,}}$|\Z)", text, re.M | re.S)
        if found:
            return found[0]
    raise AssertionError(f"no page of the manual has a section about {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    assert command(name).help, f"{name} has no help"
    for param in command(name).params:
        if isinstance(param, click.Option):
            assert param.help, f"{name} {param.name} has no help"
            if not param.hidden:  # those of monarch itself: start.rst
                assert param.opts[0] in text, f"the section about {name} does not mention {param.opts[0]}"
        else:
            metavar = (param.metavar or str(param.name).upper()).strip("[].")
            assert metavar in text, f"the section about {name} does not mention {metavar}"


def test_every_exit_code_is_documented() -> None:
    page = (DOCS / "exit-codes.rst").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^{code} +{re.escape(meaning)}$", page, re.M)


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_has_a_language(page: Path) -> None:
    """A literal block without a language would be in no test and have no reason for that."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        assert line.lstrip().startswith("..") or not line.endswith("::"), f"{page.name}:{number}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_is_python(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            text = block.text if not block.text.startswith(" ") else f"if True:\n{block.text}"
            compile(text, f"{page.name}:{block.line}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_blocks_exist(page: Path) -> None:
    """Blocks that are not run are checked as well, such as recipes for CI."""
    for block in blocks(page):
        text = LIST.sub(as_a_line, re.sub(r"\$\(.*?\)", "", block.text))
        for name, rest in re.findall(r"\bmonarch ([a-z_]+)((?: +[^\s|&;)#]+)*)", text):
            if block.language not in (*SHELLS, "yaml", "groovy") or name in ("import",):
                continue
            known = {option for param in command(name).params for option in param.opts}
            used = {
                word.partition("=")[0]
                for word in rest.partition(" -- ")[0].split()
                if re.match(r"--?[a-z]", word)
            }
            assert used <= known, f"{page.name}:{block.line}: monarch {name} has no {used - known}"


def test_links_of_the_readme_have_targets() -> None:
    links = re.findall(r"<((?:docs/)?[\w-]+\.\w+)>`_", README.read_text(encoding="utf-8"))
    assert len(links) >= 12
    for link in links:
        assert (ROOT / link).is_file(), link


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (DOCS / "index.rst").read_text(encoding="utf-8")
    for page in DOCS.glob("*.rst"):
        assert page.stem == "index" or re.search(rf"^   {page.stem}$", index, re.M), page.name


def test_the_manual_page_is_current() -> None:
    written = manpage.PAGE.read_text(encoding="utf-8")
    assert written == manpage.render(), "Run `python -m docs.manpage`."


@pytest.mark.parametrize("name", ["demo.svg", "privacy.svg"])
def test_the_pictures_show_every_line_whole(name: str) -> None:
    """The letters reach a quarter of their size below their line."""
    picture = (DOCS / name).read_text(encoding="utf-8")
    clip = re.search(r'clip-terminal">\s*<rect[^>]* height="([\d.]+)"', picture)
    size = re.search(r"font-size: (\d+)px", picture)
    assert clip
    assert size
    lines = re.findall(r'<text [^>]* y="([\d.]+)"[^>]*clip-path="url\(#monarch-line[^>]*>([^<]*)<', picture)
    lowest = max(float(place) for place, text in lines if text.strip())
    assert lowest + int(size[1]) / 4 <= float(clip[1])


def test_the_manual_warns_of_a_pool_that_takes_the_next_batch_early() -> None:
    page = (DOCS / "migrations.rst").read_text(encoding="utf-8")
    assert "pool.map(work, self.batches(" in page
