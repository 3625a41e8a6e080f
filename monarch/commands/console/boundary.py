"""The one place where errors become lines on stderr and exit codes."""

from __future__ import annotations

import atexit
import errno
import gc
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from monarch.commands.console.streams import settle_stdout
from monarch.commands.console.terminal import colour, columns, tint
from monarch.commands.loudness.levels import record
from monarch.errors import MonarchError

_INTERRUPTED = 130
# In seconds.
_MOMENT = 2.0
# A command in backquotes, or after a colon at the end of a hint, or a word.
_UNBROKEN = re.compile(r"`[^`]*`\S*|(?<=: )monarch .*$|\S+")
# Of the process, not of click's context: when an error is reported, the context is gone.
_show_traceback = False


def show_traceback() -> None:
    """Report the next error with its whole traceback."""
    global _show_traceback
    _show_traceback = True


def guarded(run: Callable[[], Any]) -> int:
    """Call ``run``, and report what it raises on stderr.

    :return: the exit code.
    """
    global _show_traceback
    _show_traceback = False
    try:
        result = run()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except MonarchError as error:
        return _report(error, error.message, error.hint, error.exit_code)
    except click.UsageError as error:
        from monarch.commands.parsing.usage import hint_for

        return _report(error, *hint_for(error), 2)
    except click.ClickException as error:
        return _report(error, error.format_message(), "Run `monarch --help` for usage.", error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        hint = "If a migration was running, run `monarch list_migrations ENVIRONMENT` to see its state."
        return _report(error, "Interrupted.", hint, _INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader, such as `head`, has closed the pipe
            return 1
        what = f"{error.filename or 'Output'}: {error.strerror or error}."
        return _report(error, what, "Fix the cause. Everything up to here is done.", 1)
    except Exception as error:
        hint = "This is a defect of monarch. Run it again with --traceback, and report the output."
        return _report(error, _describe(error), hint, 1)
    finally:
        settle_stdout()


def _report(error: BaseException, message: str, hint: str | None, code: int) -> int:
    from monarch.system.secrets import redact

    try:
        if _show_traceback:
            from monarch.commands.console.lines import show_block
            from monarch.databases import describe_error
            from monarch.system.tracebacks import format_traceback

            show_block(format_traceback(error, describe_error), err=True)
        if code == _INTERRUPTED and sys.stderr.isatty():
            click.echo(err=True)  # the terminal has echoed ^C
        for label, shade, text in (("Error:", "red", message), ("Hint:", "cyan", hint)):
            if text:
                line = f"{label} {_one_line(redact(text))}"
                first, *rest = _lines(line)
                label = click.style(label, fg=tint(shade), bold=True) + first[len(label) :]
                record(*_kind_and_text(line))
                click.echo("\n".join([label, *rest]), err=True, color=colour())
    except (OSError, KeyboardInterrupt):
        pass  # nobody reads it any more; the exit code remains
    return code


def _kind_and_text(line: str) -> tuple[str, str]:
    kind, _, text = line.partition(": ")
    return kind.lower(), text


def _describe(error: Exception) -> str:
    from monarch.databases import describe_error as reason_of
    from monarch.system.tracebacks import describe_error, described

    reason = described(error, reason_of)
    return describe_error(error, reason_of) if reason is None else reason


def _one_line(text: str) -> str:
    """``text`` as one line that every terminal can show, without control characters."""
    from monarch.commands.console.lines import harmless
    from monarch.commands.names import own_names

    line = harmless(own_names(" ".join(text.split())))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def _lines(text: str) -> list[str]:
    """``text`` in lines that fit into the terminal of stderr, if it is one."""
    return wrapped(text, columns(sys.stderr)) if sys.stderr.isatty() else [text]


def wrapped(text: str, room: int) -> list[str]:
    """``text`` in lines of ``room`` columns, none of which ends inside a word or a command."""
    lines = [""]
    for piece in _UNBROKEN.findall(text):
        longer = f"{lines[-1]} {piece}".lstrip()
        if lines[-1] and len(longer) > room:
            lines.append(piece)
        else:
            lines[-1] = longer
    return lines


def _name_running_threads() -> None:
    """The interpreter waits silently for threads that a migration has left running."""
    threading = sys.modules.get("threading")
    if threading is None:
        return
    found = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    # Those of a pool that was interrupted end in a moment, which is not worth a line.
    deadline = time.monotonic() + _MOMENT
    for one in found:
        with suppress(RuntimeError):  # this thread itself, in a program that calls monarch
            one.join(max(0.0, deadline - time.monotonic()))
    running = [one.name for one in found if one.is_alive()]
    if running:
        with suppress(OSError, ValueError):
            click.echo(f"Waiting for threads that still run: {', '.join(running)} …", err=True)


def leave() -> None:
    """End the process without interruption: what Ctrl-C would interrupt is done.

    Python's last search for garbage leaves out what is frozen. It would take a tenth of the time of a short
    command, and the memory is freed with the process.

    Also skips pymongo's exit handler, which joins monitor threads that sleep for up to half a second each;
    they are daemons, and end with the process. If a later pymongo has no such handler, this does nothing.
    """
    _name_running_threads()
    atexit.register(gc.freeze)
    signal = sys.modules.get("signal")  # without it no command ran
    if signal is not None:
        with suppress(ValueError):  # not in the main thread: the embedding program handles signals
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    monitor = sys.modules.get("pymongo.synchronous.monitor")
    handler = getattr(monitor, "_shutdown_resources", None)
    if handler is not None:
        atexit.unregister(handler)
