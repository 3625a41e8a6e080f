"""Draws ``docs/demo.svg``: the terminal of ``monarch demo``, from what it really prints.

Run it with monarch and its extra ``dev`` installed: ``python docs/picture.py``.
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

COLUMNS = 90
SVG = Path(__file__).with_name("demo.svg")


def record() -> str:
    """What the demo writes to a terminal, colours included."""
    with tempfile.TemporaryDirectory() as folder:
        terminal = pexpect.spawn(
            sys.executable,
            ["-m", "monarch", "demo"],
            cwd=folder,
            encoding="utf-8",
            timeout=120,
            dimensions=(60, COLUMNS),
        )
        said: str = terminal.read()
        terminal.wait()
    if terminal.exitstatus != 0:
        sys.exit(f"The demo ended with {terminal.exitstatus}:\n{said}")
    return said.replace("\r\n", "\n")


def draw(said: str) -> str:
    """``said`` as an SVG that loads nothing from anywhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ monarch demo\n{said.strip()}"))
    svg = console.export_svg(title="monarch demo", theme=MONOKAI, unique_id="monarch")
    without_fonts = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in without_fonts.splitlines()) + "\n"


if __name__ == "__main__":
    SVG.write_text(draw(record()), encoding="utf-8")
    print(f"Wrote {SVG.name}")
