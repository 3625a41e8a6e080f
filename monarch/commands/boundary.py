"""The one place where errors become lines on stderr and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from monarch.commands.terminal import colour, columns
from monarch.errors import EXIT_CODES, MonarchError
from monarch.names import nearest

_INTERRUPTED = 130


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, treated as Ctrl-C is."""


class Group(click.Group):
    """monarch's group: dashes for underscores, aliases, the nearest name, and the error boundary.

    It and all its commands take ``--traceback``.
    """

    aliases = {"create": "generate"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_traceback_option())

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.params.append(_traceback_option())
        super().add_command(cmd, name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.replace("-", "_")
        return super().get_command(ctx, self.aliases.get(name, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = nearest(args[0], self.list_commands(ctx))
            hint = f"Did you mean {near!r}?" if near else "`monarch --help` lists them all."
            raise click.UsageError(f"There is no command {args[0]!r}.\0{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In the order in which one comes to need them, not the alphabet's."""
        rows = [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        # As click would set it, without its import of shutil, which takes longer than our own code.
        width = max(min(columns(), 80) - 2, 50)
        return super().make_context(*args, **{"terminal_width": width, "color": colour(), **kwargs})

    def invoke(self, ctx: click.Context) -> Any:
        with _signals_as_interrupts():
            return super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        run = partial(super().main, *args, standalone_mode=False, **kwargs)
        if not standalone_mode:
            return run()
        sys.exit(_guarded(run))


def _traceback_option() -> click.Option:
    def remember(_: click.Context, __: click.Parameter, value: bool) -> None:
        global _traceback_wanted
        _traceback_wanted = _traceback_wanted or value

    return click.Option(
        ["--traceback"],
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show the whole traceback of an error.",
    )


# Of the process, not of click's context: where an error is told, no context is left.
_traceback_wanted = False


def _guarded(run: Callable[[], Any]) -> int:
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
        message, _, hint = error.format_message().partition("\0")
        path = error.ctx.command_path if error.ctx else "monarch"
        return _tell(error, message, hint or f"`{path} --help` shows how it goes.", 2)
    except click.ClickException as error:
        return _tell(error, error.format_message(), None, error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        return _tell(error, "Interrupted.", None, _INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader, `head` say, has seen enough
            _silence_stdout()
            return 1
        return _tell(error, f"{error.filename or 'Output'}: {error.strerror or error}.", None, 1)
    except Exception as error:
        hint = "That is a defect of monarch. Run it again with --traceback, and report what it shows."
        return _tell(error, f"{type(error).__name__}: {error}", hint, 1)


def _tell(error: BaseException, message: str, hint: str | None, code: int) -> int:
    from monarch.secret import redact

    try:
        if _traceback_wanted:
            import traceback

            click.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)
        for label, shade, text in (("Error:", "red", message), ("Hint:", "cyan", hint)):
            if text:
                line = f"{click.style(label, fg=shade, bold=True)} {_one_line(redact(text))}"
                click.echo(line, err=True, color=colour())
    except OSError:
        pass  # nobody listens any more; the exit code still tells
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that all is recorded and cleaned."""

    import signal

    def interrupt(number: int, _: Any) -> None:
        raise Terminated(signal.Signals(number).name)

    previous: dict[int, Any] = {}
    for name in ("SIGTERM", "SIGHUP"):
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


def _silence_stdout() -> None:
    """Keep the interpreter from complaining about the broken pipe once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave() -> None:
    """Spare the process pymongo's exit handler.

    It joins monitor threads that sleep for up to half a second each; they are daemons, and die with
    the process as well. Where a later pymongo has no such handler, this does nothing.
    """
    monitor = sys.modules.get("pymongo.synchronous.monitor")
    handler = getattr(monitor, "_shutdown_resources", None)
    if handler is not None:
        import atexit

        atexit.unregister(handler)
