"""Make the process of the tests independent of the shell that started it.

Processes inherit ignored signals, variables, the home folder and the umask, and Python reads PYTHONWARNINGS
before anything else. A run that is started in the background, by nohup, by CI or from a developer's shell
with settings of its own must give the same results as one from a fresh terminal, and so must the commands
that the tests start.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

# The variables that a test, or a command that it starts, needs. With `CI` a skipped test fails.
KEPT = frozenset(("CI", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "PYTHONPATH", "TMPDIR", "USER", "VIRTUAL_ENV"))
KEPT_PREFIXES = ("COVERAGE_", "COV_", "HYPOTHESIS_", "PYTEST_", "TOX_")


def clean(home: Path) -> None:
    """Restore signals, warnings, variables and umask of this process; ``home`` is its empty home folder."""
    restore_signals()
    restore_warnings()
    variables = kept_variables(os.environ)
    os.environ.clear()
    os.environ.update(variables, HOME=str(home), LANG="C.UTF-8")
    os.umask(0o022)


def restore_signals() -> None:
    """Handle the signals that a parent ignored or blocked, as a shell does with Ctrl-C in the background.

    Children inherit this and monarch respects it, so the tests could not interrupt the commands they start.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def restore_warnings() -> None:
    """Show the warnings that Python shows without PYTHONWARNINGS and -W, which it read when it started.

    With "error", a client that a test does not close would fail the test that runs when it is collected.
    """
    sys.warnoptions.clear()
    warnings.resetwarnings()
    hidden = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
    for category in hidden:
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")


def kept_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the ``variables`` that the tests keep."""
    return {
        name: value for name, value in variables.items() if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
