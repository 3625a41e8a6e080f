"""What monarch does to servers, stores and programs, for Python's `logging`, or for the command line.

The loggers are ``monarch.database``, ``monarch.store`` and ``monarch.program``. What changes something, each
connection, each request to a store and each program is logged as INFO, what only reads a server or a file as
DEBUG. No record has a document, a row, a value, an argument of a query set or a secret in it, and its message
is one line of printable characters.

As long as nobody listens, this costs a look into a dict: not even `logging` is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

DATABASE, STORE, PROGRAM = "monarch.database", "monarch.store", "monarch.program"
# The levels of `logging`.
READS, CHANGES = 10, 20
_LONGEST = 2_000
_sink: Callable[[str, str], None] | None = None
_commanded = False


def send_to(sink: Callable[[str, str], None] | None) -> None:
    """Call ``sink`` with the logger and the text of each `CHANGES`, whatever a project does to `logging`."""
    global _sink
    _sink = sink


def be_commanded(commanded: bool) -> None:
    """Whether a command runs. Then only those listen who have set a level for the logger ``monarch``.

    A project's code that sets one for all loggers does not expect these on the terminal.
    """
    global _commanded
    _commanded = commanded


def is_heard(logger: str, level: int = CHANGES) -> bool:
    """Whether anybody listens to ``logger``: for what would be expensive to say."""
    return (_sink is not None and level >= CHANGES) or _is_logged(logger, level)


def _is_logged(name: str, level: int) -> bool:
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "getLogger"):  # another thread may just import it
        return False
    logger = logging.getLogger(name)
    if _commanded and not (logger.level or logging.getLogger("monarch").level):
        return False
    return bool(logger.isEnabledFor(level))


def log(logger: str, what: str, level: int = CHANGES) -> None:
    """Tell those who listen to ``logger`` what is being done, without secrets."""
    if not is_heard(logger, level):
        return
    from monarch.system.secrets import redact

    text = one_line(redact(what))
    if _sink is not None and level >= CHANGES:
        _sink(logger, text)
    if _is_logged(logger, level):
        sys.modules["logging"].getLogger(logger).log(level, "%s", text)


def log_start(arguments: Sequence[str], level: int = CHANGES) -> None:
    """Tell that a program is started. Its ``arguments`` hold placeholders where it gets secrets."""
    if is_heard(PROGRAM, level):
        from shlex import join

        log(PROGRAM, f"starting {join(arguments)}", level)


def one_line(text: str) -> str:
    """Return ``text`` as one line without control characters, shortened if it is very long."""
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
