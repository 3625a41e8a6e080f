"""What a run of migrations tells, as it goes on and at its end: to people, to programs and to CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from monarch.commands.console.boundary import was_signalled
from monarch.commands.console.output import duration
from monarch.commands.console.progress_bar import ProgressBar
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress
from monarch.system.secrets import redact

if TYPE_CHECKING:
    from monarch.migrations.migrate import RunResult

_INTERRUPTED = 130


@dataclass(frozen=True)
class Finished:
    """A migration that is done."""

    migration: str
    seconds: float
    documents: int
    echoed: str


@dataclass
class Story:
    """What has happened in a run on ``environment`` so far, and how it ended."""

    environment: str
    planned: tuple[str, ...] = ()
    done: list[Finished] = field(default_factory=list)
    running: str | None = None
    result: RunResult | None = None
    backup: str | None = None
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    place: tuple[str, int | None] | None = None
    # As it is when the run begins: a migration may go to another folder.
    folder: Path = field(default_factory=Path.cwd)

    def fail(self, error: BaseException) -> None:
        """It ended with ``error``."""
        interrupted = isinstance(error, KeyboardInterrupt | click.Abort)
        self.exit_code = _INTERRUPTED if interrupted else getattr(error, "exit_code", 1)
        said = "Interrupted." if interrupted else str(error) or type(error).__name__
        self.error = redact(" ".join(said.split()))
        self.hint = redact(error.hint) if isinstance(error, MonarchError) and error.hint else None
        # Of a migration that raised: not imported for that, as most runs go well.
        file = getattr(error, "file", None)
        if file is not None:
            self.place = file.shown_path, getattr(error, "line", None)

    @property
    def not_reached(self) -> tuple[str, ...]:
        """What was to run and has not begun."""
        begun = {*(finished.migration for finished in self.done), self.running}
        return tuple(key for key in self.planned if key not in begun)


class Report(ProgressBar):
    """To people."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story

    def backed_up(self, name: str) -> None:
        self._story.backup = name
        super().backed_up(name)

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._story.planned = keys
        self.clear()
        super().planned(environment, keys)

    def started(self, key: str) -> None:
        self._story.running = key
        super().started(key)

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        self._story.running = None
        self._story.done.append(Finished(key, seconds, documents, echoed))
        super().finished(key, seconds, documents, echoed)


class Events(Progress):
    """To programs: one JSON object a line, written to ``out``."""

    def __init__(self, story: Story, out: TextIO) -> None:
        self._story = story
        self._out = out

    def must_stop(self) -> bool:
        return was_signalled()

    def waiting(self, why: str) -> None:
        self.write("waiting", why=why)

    def mended(self, what: str) -> None:
        self.write("mended", what=what)

    def noted(self, what: str) -> None:
        self.write("noted", what=what)

    def backed_up(self, name: str) -> None:
        self._story.backup = name
        self.write("backed_up", name=name)

    def phase(self, name: str) -> None:
        self.write("phase", name=name)

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._story.planned = keys
        self.write("planned", environment=environment, migrations=list(keys))

    def started(self, key: str) -> None:
        self._story.running = key
        self.write("started", migration=key)

    def walked(self, collection: str, documents: int, total: int) -> None:
        self.write("walked", collection=collection, documents=documents, total=total)

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        self._story.running = None
        finished = Finished(key, seconds, documents, echoed)
        self._story.done.append(finished)
        self.write("finished", **vars(finished))

    def summarize(self) -> None:
        """The last line."""
        story = self._story
        if story.running is not None:
            self.write("failed", migration=story.running, error=story.error)
        self.write(
            "summary",
            environment=story.environment,
            ok=story.error is None,
            exit_code=story.exit_code,
            done=[finished.migration for finished in story.done],
            failed=story.running,
            not_reached=list(story.not_reached),
            only_in_database=list(story.result.only_in_database) if story.result else [],
            backup=story.backup,
            error=story.error,
            hint=story.hint,
        )

    def write(self, event: str, **what: Any) -> None:
        """One line.

        :raises MonarchError: if nobody reads any more, so that the run stops between two migrations.
        """
        import json

        try:
            # In ASCII, which every terminal and every pipe can take.
            click.echo(json.dumps({"event": event, **what}), file=self._out)
        except OSError as error:
            raise MonarchError(
                f"The output cannot be written ({error.strerror}), so the run has stopped.",
                "What is done is recorded: see monarch list_migrations.",
            ) from error


@contextmanager
def reported(environment: str, *, as_json: bool, junit: str | None) -> Iterator[tuple[Progress, Story]]:
    """The progress of a run on ``environment``, and its story, which is told at the end wherever CI looks.

    :raises UsageError: if the file ``junit`` cannot be written: before anything has run.
    """
    story = Story(environment)
    with ExitStack() as stack:
        progress: Report | Events
        if as_json:
            progress = Events(story, stack.enter_context(own_stdout()))
            stack.callback(progress.summarize)
        else:
            progress = Report(story)
            stack.enter_context(progress)
        stack.callback(_annotate, story)
        try:
            # As it is now: a migration may go to another folder.
            path = None if junit is None else _writable(junit)
            try:
                yield progress, story
            finally:
                error = sys.exc_info()[1]
                if error is not None:
                    story.fail(error)
                if path is not None:
                    _write_junit(path, story)
        except BaseException as error:
            story.fail(error)
            raise


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Standard output, for what a program reads; whatever else is printed meanwhile goes to standard error.

    Also what programs print that a migration starts.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file, as in tests
        out = sys.stdout
        with redirect_stdout(sys.stderr):
            yield out
        return
    number = sys.stdout.fileno()
    with os.fdopen(kept, "w", encoding="utf-8") as out:
        os.dup2(sys.stderr.fileno(), number)
        try:
            yield out
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            with suppress(OSError):
                out.flush()
            os.dup2(out.fileno(), number)


def _writable(junit: str) -> Path:
    path = Path(junit).absolute()
    try:
        with path.open("a", encoding="utf-8"):
            return path
    except OSError as error:
        raise UsageError(
            f"{junit} cannot be written: {error.strerror}.", "Nothing has run. Is its folder there?"
        ) from None


def _write_junit(path: Path, story: Story) -> None:
    from monarch.commands.reports.junit import write_junit

    try:
        write_junit(path, story)
    except OSError as error:
        said = f"{path.name} cannot be written: {error.strerror}."
        if story.error is not None:  # that is what one wants to know
            click.echo(f"Note: {said}", err=True)
            return
        raise MonarchError(said, "All migrations are done and recorded.") from error


def _annotate(story: Story) -> None:
    """Say it the way that the CI understands, if it is one that shows such things."""
    if story.error is not None:
        path, line = story.place or (None, None)
        path = path and _in_the_workspace(story.folder / path, path)
        if os.environ.get("GITHUB_ACTIONS"):  # "Workflow commands for GitHub Actions", which Gitea has too
            where = f" file={path}{f',line={line}' if line else ''}" if path else ""
            message = story.error.replace("%", "%25")
            click.echo(f"::error{where}::{message}", err=True)
        elif os.environ.get("TF_BUILD"):  # Azure Pipelines, "Logging commands"
            where = f"sourcepath={path};{f'linenumber={line};' if line else ''}" if path else ""
            click.echo(f"##vso[task.logissue type=error;{where}]{story.error}", err=True)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_summary(story))
        except OSError as error:
            click.echo(f"Note: the summary of the step cannot be written: {error.strerror}.", err=True)


def _in_the_workspace(path: Path, shown: str) -> str:
    """``path`` as CI has it, for which the project may be a folder of the repository; or as ``shown``."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    return path.relative_to(workspace).as_posix() if workspace and path.is_relative_to(workspace) else shown


def _summary(story: Story) -> str:
    lines = [f"### monarch migrate {story.environment}", ""]
    if story.planned:
        lines += ["| migration | | took | documents |", "|---|---|---|---|"]
        lines += [f"| {f.migration} | done | {duration(f.seconds)} | {f.documents:,} |" for f in story.done]
        lines += [f"| {story.running} | **failed** | | |"] if story.running else []
        lines += [f"| {key} | not reached | | |" for key in story.not_reached]
    elif story.error is None:
        lines.append("Nothing to do.")
    if story.error is not None:
        lines += ["", f"**{_markdown(story.error)}**", ""]
        lines += [_markdown(story.hint), ""] if story.hint else []
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")
