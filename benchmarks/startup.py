"""What a command costs before it does anything: ``python -m benchmarks.startup``.

Measures processor time, of user and system together: other work on the machine disturbs it less than the
clock. Run it where monarch is installed from its wheel: an editable install adds an import hook.
"""

from __future__ import annotations

import compileall
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import monarch
from benchmarks.pairs import paired_ratio, print_head, print_row, time_in_turns

ROUNDS = 200
LIMIT = 1.2


def processor_time(command: Sequence[str], folder: Path | None) -> float:
    """The seconds that ``command`` keeps a processor busy; one that fails ends the benchmark."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    # As pip does when it installs: otherwise PYTHONDONTWRITEBYTECODE would make every round compile.
    compileall.compile_dir(Path(monarch.__file__).parent, quiet=1)
    script = str(Path(sys.executable).with_name("monarch"))
    base, help_ = time_in_turns(
        {
            "python -c 'import click'": [sys.executable, "-c", "import click"],
            "monarch --help": [script, "--help"],
        },
        ROUNDS,
        Path("/"),
        processor_time,
    ).values()
    print_head(f"Start-up, processor time, median of {ROUNDS} rounds taken in turns")
    print_row(base)
    print_row(help_, paired_ratio(help_, base), base.name, LIMIT)


if __name__ == "__main__":
    main()
