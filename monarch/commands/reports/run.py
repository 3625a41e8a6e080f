"""Reports of a run of migrations: to people, to programs and to CI."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from monarch.commands.console.lines import as_json, note
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.progress_lines import output_lost
from monarch.commands.console.streams import own_stdout
from monarch.commands.looks import silence
from monarch.commands.loudness.levels import record
from monarch.commands.parsing.whereabouts import from_here
from monarch.commands.reports.ci import annotate
from monarch.commands.reports.story import Finished, Story
from monarch.errors import MonarchError, UsageError
from monarch.progress import Progress
from monarch.system.signals import was_signalled


class Report(ProgressBar):
    """Progress for people, recorded in a story."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self._story = story

    def counts(self, what: str) -> None:
        self._story.part = what
        super().counts(what)

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
    """Progress for programs: one JSON object per line, written to ``out``.

    With ``marks`` each of them has these members, too.
    """

    def __init__(self, story: Story, out: TextIO, **marks: Any) -> None:
        self._story = story
        self._out = out
        self._marks = marks

    def must_stop(self) -> bool:
        return was_signalled()

    def counts(self, what: str) -> None:
        self._story.part = what

    def waiting(self, why: str) -> None:
        self.write("waiting", why=why)
        silence.begin("waiting")

    def recovered(self, what: str) -> None:
        self.write("mended", what=what)

    def message(self, what: str) -> None:
        self.write("noted", what=what)

    def backed_up(self, name: str) -> None:
        self._story.backup = name
        self.write("backed_up", name=name)

    def phase(self, name: str) -> None:
        self.write("phase", name=name)
        silence.begin(name)

    def printing(self, text: str) -> None:
        silence.hear(text)

    def calling(self, hook: str) -> None:
        silence.end()

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._story.planned = keys
        self.write("planned", environment=environment, migrations=list(keys))

    def started(self, key: str) -> None:
        self._story.running = key
        self.write("started", migration=key)
        silence.begin(f"running {key}")

    def scanned(self, collection: str, documents: int, total: int) -> None:
        self.write("walked", collection=collection, documents=documents, total=total)

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        silence.end()
        self._story.running = None
        finished = Finished(key, seconds, documents, echoed)
        self._story.done.append(finished)
        self.write("finished", **vars(finished))

    def summarize(self) -> None:
        """Write the last line."""
        story = self._story
        file, line = story.place or (None, None)
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
            only_in_database=list(story.only_in_database),
            backup=story.backup,
            error=story.error,
            hint=story.hint,
            file=file,
            line=line,
        )

    def write(self, event: str, **what: Any) -> None:
        """Write one line.

        :raises MonarchError: if nobody reads it, so that the run stops between two migrations.
        """
        silence.hear("\n")
        # Not what a migration has printed, which may quote documents.
        record("event", f"{event} {what.get('migration') or what.get('why') or what.get('what') or ''}")
        try:
            click.echo(as_json({"event": event, **self._marks, **what}, indent=None), file=self._out)
        except OSError as error:
            raise output_lost(error) from error


@contextmanager
def reported(environment: str, *, as_json: bool, junit: str | None) -> Iterator[tuple[Progress, Story]]:
    """The progress of a run on ``environment``, and its story, which is reported to CI at the end.

    With ``junit``, the name of a file, the story is written there too.

    :raises UsageError: if that file cannot be written, before anything has run.
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
        stack.callback(annotate, story)
        try:
            # Absolute from the beginning: a migration may change the folder.
            path = None if junit is None else writable(junit)
            try:
                yield progress, story
            finally:
                error = sys.exc_info()[1]
                if error is not None:
                    story.fail(error)
                if path is not None:
                    finish_junit(path, story)
        except BaseException as error:
            story.fail(error)
            raise


def writable(junit: str) -> Path:
    """Return the path of the file ``junit``, which can be written.

    :raises UsageError: if it cannot.
    """
    path = Path(from_here(junit)).absolute()
    try:
        with path.open("a", encoding="utf-8"):
            return path
    except OSError as error:
        raise UsageError(
            f"{junit} cannot be written: {error.strerror}.",
            "Nothing has run. Does its folder exist?",
        ) from None


def finish_junit(path: Path, *stories: Story) -> None:
    """Write ``stories`` to the JUnit file ``path``.

    :raises MonarchError: if it cannot be written, and nothing else has failed.
    """
    from monarch.commands.reports.junit import write_junit

    try:
        write_junit(path, *stories)
    except OSError as error:
        text = f"{path.name} cannot be written: {error.strerror}."
        if any(story.error is not None for story in stories):  # the more important error
            note(text)
            return
        raise MonarchError(text, "All migrations are done and recorded.") from error
