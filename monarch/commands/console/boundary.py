"""The one place where errors become lines on stderr and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from monarch.commands.console.terminal import colour
from monarch.errors import MonarchError

_INTERRUPTED = 130
# Of the process, not of click's context: where an error is told, no context is left.
_traceback_wanted = False


_signals_seen: list[str] = []


def was_signalled() -> bool:
    """Whether Ctrl-C, SIGTERM or SIGHUP came, also if somebody's bare ``except`` has swallowed it."""
    return bool(_signals_seen)


def want_traceback() -> None:
    """Tell the next error with its whole traceback."""
    global _traceback_wanted
    _traceback_wanted = True


def guarded(run: Callable[[], Any]) -> int:
    """The exit code of ``run``, with whatever it raises told on stderr."""
    global _traceback_wanted
    _traceback_wanted = False
    try:
        result = run()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except MonarchError as error:
        return _tell(error, error.message, error.hint, error.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "monarch"
        return _tell(error, error.format_message(), f"`{path} --help` shows how it goes.", 2)
    except click.ClickException as error:
        return _tell(error, error.format_message(), "`monarch --help` shows how it goes.", error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        hint = "If a migration was running, `monarch list_migrations ENVIRONMENT` tells how far it is."
        return _tell(error, "Interrupted.", hint, _INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader, `head` say, has seen enough
            return 1
        what = f"{error.filename or 'Output'}: {error.strerror or error}."
        return _tell(error, what, "Mend that. What the command had done before is done.", 1)
    except Exception as error:
        hint = "That is a defect of monarch. Run it again with --traceback, and report what it shows."
        return _tell(error, f"{type(error).__name__}: {error}", hint, 1)
    finally:
        _settle_stdout()


def _tell(error: BaseException, message: str, hint: str | None, code: int) -> int:
    from monarch.system.secrets import redact

    try:
        if _traceback_wanted:
            import traceback

            click.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)
        for label, shade, text in (("Error:", "red", message), ("Hint:", "cyan", hint)):
            if text:
                line = f"{click.style(label, fg=shade, bold=True)} {_one_line(redact(text))}"
                click.echo(line, err=True, color=colour())
    except (OSError, KeyboardInterrupt):
        pass  # nobody listens any more, or wants to; the exit code still tells
    return code


def _one_line(text: str) -> str:
    """``text`` as one line that every terminal can show, and that steers none."""
    from monarch.commands.console.output import printable

    line = printable(" ".join(text.split()))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that all is recorded and cleaned."""
    import signal

    def interrupt(number: int, _: Any) -> None:
        _signals_seen.append(signal.Signals(number).name)
        raise KeyboardInterrupt(signal.Signals(number).name)

    _signals_seen.clear()
    previous: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        try:
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, interrupt)
        except ValueError:  # not in the main thread: whoever embeds us handles signals
            break
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _settle_stdout() -> None:
    """What cannot be written has been told: keep the interpreter from failing on it again at its end."""
    try:
        sys.stdout.flush()
    except ValueError:  # somebody has closed it
        pass
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_missing_streams() -> None:
    """Give a process that was started without one of the standard streams an empty one.

    Otherwise the next file or socket that is opened would get its number, and what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Open until the process ends. Not by pathlib, whose import --help would have to wait for.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _name_what_still_runs() -> None:
    """The interpreter waits for threads that a migration has left behind, and would not say so."""
    threading = sys.modules.get("threading")
    if threading is None:
        return
    left = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    if left:
        with suppress(OSError, ValueError):
            click.echo(f"Waiting for what still runs in this process: {', '.join(left)} …", err=True)


def leave() -> None:
    """Leave without being disturbed: what Ctrl-C would interrupt is done.

    And spare the process pymongo's exit handler.
    It joins monitor threads that sleep for up to half a second each; they are daemons, and die with
    the process as well. Where a later pymongo has no such handler, this does nothing.
    """
    import signal

    _name_what_still_runs()
    with suppress(ValueError):  # not in the main thread: whoever embeds us handles signals
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    monitor = sys.modules.get("pymongo.synchronous.monitor")
    handler = getattr(monitor, "_shutdown_resources", None)
    if handler is not None:
        import atexit

        atexit.unregister(handler)
