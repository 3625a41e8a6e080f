"""Draws ``docs/demo.svg`` and ``docs/privacy.svg`` from what monarch really prints.

The first: a migration fails, is fixed, and runs. The second: rules are suggested, and a copy is masked.

Run it with monarch and its extra ``dev`` installed: ``python -m docs.picture``. The lines are short and the
letters large, so that it can be read on a phone.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

import pexpect
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from monarch import Project

COLUMNS = 60
WIDE = 100
DOCS = Path(__file__).parent
SETTINGS = "ENVIRONMENTS = {'development': {'embedded': True, 'db_name': 'shop'}}\n"
PRIVATE = """\
ENVIRONMENTS = {
    'production': {'embedded': True, 'db_name': 'shop', 'private': True, 'protected': False},
    'development': {'embedded': True, 'db_name': 'shop'},
}
"""
FIRST = """\
from monarch import MongoBackedMigration


class UniqueEmailsMigration(MongoBackedMigration):

    def run(self):
        users = self.database.users
        users.create_index('email', unique=True)
"""
FIXED = FIRST.replace(
    "        users.create_index",
    "        users.delete_many({'copy_of': {'$exists': True}})\n        users.create_index",
)


class Terminal:
    """A terminal of ``columns`` in ``folder``; ``screen`` is what was typed and shown in it."""

    def __init__(self, folder: Path, columns: int) -> None:
        self._folder = folder
        self._columns = columns
        self.screen = ""

    def run(self, arguments: str, code: int) -> None:
        """Run monarch, which has to end with ``code``."""
        terminal = pexpect.spawn(
            sys.executable,
            ["-m", "monarch", *arguments.split()],
            cwd=str(self._folder),
            encoding="utf-8",
            timeout=120,
            dimensions=(60, self._columns),
        )
        shown: str = terminal.read()
        terminal.wait()
        if terminal.exitstatus != code:
            sys.exit(f"monarch {arguments} ended with {terminal.exitstatus}:\n{shown}")
        self.screen += f"$ monarch {arguments}\n{last_states(shown)}\n"

    def comment(self, text: str) -> None:
        """Show a line that a person types for nobody but the reader."""
        self.screen += f"\x1b[2m# {text}\x1b[0m\n"


def last_states(shown: str) -> str:
    """``shown`` without the earlier states of lines that were drawn over, such as progress bars."""
    lines = (line.rsplit("\r", 1)[-1] for line in shown.replace("\r\n", "\n").strip().split("\n"))
    return "\n".join(re.sub(r"\x1b\[[0-9]*K", "", line).rstrip() for line in lines) + "\n"


def record() -> str:
    """Return the story as a terminal shows it, colours included."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = Project(folder)
        project.init()
        (folder / "migrations" / "settings.py").write_text(SETTINGS)
        migration = project.generate("unique_emails")
        migration.write_text(FIRST)
        with project.open("development") as database:
            users = database.handles()["database"].users  # type: ignore[attr-defined]
            users.insert_many([{"email": "ann@example.com"}, {"email": "ann@example.com", "copy_of": 1}])
            terminal = Terminal(folder, COLUMNS)
            terminal.run("migrate development", 1)
            terminal.comment("remove the copies first, then:")
            migration.write_text(FIXED)
            terminal.run("migrate development --retry", 0)
    return terminal.screen


def record_private() -> str:
    """Return what a terminal shows of a masked copy."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = Project(folder)
        project.init()
        (folder / "migrations" / "settings.py").write_text(PRIVATE)
        with project.open("production") as database, project.open("development"):
            handle = database.handles()["database"]
            people = [
                {"_id": n, "name": f"{first} Kestrel", "phone": f"+49 170 55501{n}"}
                for n, first in enumerate(("Ottilie", "Dragan", "Yusra", "Xenia", "Cosimo"))
            ]
            handle.users.insert_many(people)  # type: ignore[attr-defined]
            terminal = Terminal(folder, WIDE)
            terminal.run("suggest_masks production", 0)
            terminal.comment("every line was read and is right; two documents as they would arrive:")
            terminal.run("copy_db production:development --plan --show 2", 0)
            terminal.run("copy_db production:development --yes", 0)
            terminal.run("leaks production:development", 0)
    return terminal.screen


def draw(screen: str, columns: int) -> str:
    """Return ``screen`` as an SVG that loads nothing."""
    console = Console(record=True, width=columns + 1, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.strip()))
    console.print()  # the drawing cuts the lowest line, and with it underscores
    svg = console.export_svg(title="monarch", theme=MONOKAI, unique_id="monarch")
    without_fonts = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in without_fonts.splitlines()) + "\n"


if __name__ == "__main__":
    for name, screen, columns in (
        ("demo.svg", record(), COLUMNS),
        ("privacy.svg", record_private(), WIDE),
    ):
        (DOCS / name).write_text(draw(screen, columns), encoding="utf-8")
        print(f"Wrote {name}")
