"""What a command costs before it does anything: ``python -m benchmarks.startup``.

Run it where monarch is installed from its wheel: an editable install adds an import hook.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_row, time_in_turns

ROUNDS = 40


def main() -> None:
    script = str(Path(sys.executable).with_name("monarch"))
    times = time_in_turns(
        {
            "python -c 'import click'": [sys.executable, "-c", "import click"],
            "monarch --help": [script, "--help"],
        },
        ROUNDS,
        Path("/"),
    )
    base, help_ = times.values()
    print_head(f"Start-up, median of {ROUNDS} rounds taken in turns")
    print_row(base)
    print_row(help_, paired_ratio(help_, base), base.name, 1.2)


if __name__ == "__main__":
    main()
