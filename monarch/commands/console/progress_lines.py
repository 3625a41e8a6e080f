"""Progress in lines of text."""

from __future__ import annotations

from monarch.commands.console.lines import Piece, aside, note, show, tip
from monarch.commands.console.text import count, duration
from monarch.commands.looks import silence
from monarch.errors import MonarchError
from monarch.progress import Progress
from monarch.system.signals import was_signalled


class ProgressLines(Progress):
    """Progress in words: notes and what the work waits for on stderr, what has happened on stdout.

    If the output cannot be written any more, the run stops between two migrations.
    """

    # What a database holds, one of it.
    part = "document"

    def counts(self, what: str) -> None:
        self.part = what

    def waiting(self, why: str) -> None:
        aside(f"Waiting: {why} …")
        silence.begin("waiting")

    def calling(self, hook: str) -> None:
        silence.end()  # it may ask something

    def printing(self, text: str) -> None:
        silence.hear(text)

    def recovered(self, what: str) -> None:
        note(f"{what}.")

    def message(self, what: str) -> None:
        note(f"{what.removesuffix('.')}.")  # it may end with the message of an error

    def backed_up(self, name: str) -> None:
        tip(f"backed up as {name}, and verified.")

    def must_stop(self) -> bool:
        return was_signalled()

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._print(f"{count(len(keys), 'migration')} to run on {environment}:")

    def rolling_back(self, environment: str, keys: tuple[str, ...]) -> None:
        self._print(f"{count(len(keys), 'migration')} to roll back on {environment}:")

    def started(self, key: str) -> None:
        self._print(("->", "cyan"), f" {key}")
        silence.begin(f"running {key}", lambda took: f"   running … {took}")

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        silence.end()
        wrote = f", {count(documents, self.part)} written" if documents else ""
        self._print("   ", ("done", "green"), f" in {duration(seconds)}{wrote}")

    def _print(self, *pieces: Piece) -> None:
        try:
            show(*pieces, quietly=True)
        except OSError as error:
            raise output_lost(error) from error


def output_lost(error: OSError) -> MonarchError:
    """The error of a run that stops because its output cannot be written any more."""
    return MonarchError(
        f"The output cannot be written ({error.strerror}), so the run has stopped.",
        "The migrations that are done are recorded. Run `monarch list_migrations ENVIRONMENT`.",
    )
