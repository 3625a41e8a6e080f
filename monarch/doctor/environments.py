"""The environments, all at the same time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from monarch.databases import find_kind, open_database
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.health.observation import Health, Observation
from monarch.databases.several.members import find_members
from monarch.databases.several.targets import Selected
from monarch.doctor.code import Migrations
from monarch.doctor.findings import Diagnosis, fine, found, problem, skipped
from monarch.doctor.migrations import judge_migrations
from monarch.errors import MonarchError, ServerError
from monarch.progress import Progress
from monarch.settings.protection import is_far

# How many at the same time, and the seconds for one database and for one environment.
_AT_ONCE = 32
_SECONDS, _LONGEST = 15.0, 25.0
# Of silence before it is explained, and between two explanations.
_SILENCE, _PAUSE = 1.5, 5.0

Report = Callable[[Diagnosis], None]


def examine_environments(
    selected: Sequence[Selected],
    named: bool,
    root: Path,
    migrations: Migrations,
    progress: Progress,
) -> Iterator[tuple[Environment, tuple[Diagnosis, ...], tuple[str, ...]]]:
    """Yield the environments ``selected`` in order, with what is found of each, and its servers' versions.

    A server that does not answer in time is given up. Nothing waits for its thread.

    :param named: whether a person has named them, so that one which cannot be used is a problem.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, _Examined]] = queue.SimpleQueue()
    begun: dict[int, float] = {}
    environments = [one.environment for one in selected]
    for number in range(len(selected)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            begun[number] = time.monotonic()
            examined = _Examined(selected[number], named, root, migrations)
            examined.run()
            done.put((number, examined))

    for _ in range(min(_AT_ONCE, len(environments))):
        # Daemons: a server that does not answer must not keep the command from ending.
        threading.Thread(target=work, name="monarch-doctor", daemon=True).start()
    results: dict[int, _Examined] = {}
    last_news = time.monotonic()
    for number, environment in enumerate(environments):
        while number not in results:
            try:
                finished, examined = done.get(timeout=0.1)
                results[finished] = examined
            except queue.Empty:
                pass
            if time.monotonic() - last_news > _SILENCE:
                last_news = time.monotonic() + _PAUSE
                names = [one.label for i, one in enumerate(environments) if i >= number and i not in results]
                progress.waiting(f"{_listed(names)} {'has' if len(names) == 1 else 'have'} not answered yet")
            if _is_late(number, begun):
                break
        given_up = results.get(number)
        if given_up is None:
            error = ServerError(
                f"It did not answer within {_LONGEST:g} seconds.", "Check the server and the network between."
            )
            yield environment, (problem(environment.label, "server", error),), ()
        else:
            yield environment, tuple(given_up.findings), tuple(given_up.versions)


def _is_late(number: int, begun: dict[int, float]) -> bool:
    """Whether the environment ``number`` takes too long, or those before it keep all threads."""
    now = time.monotonic()
    if number in begun:
        return now - begun[number] > _LONGEST
    return bool(begun) and all(now - since > _LONGEST for since in begun.values())


class _Examined:
    """What is found of one environment."""

    def __init__(self, selected: Selected, named: bool, root: Path, migrations: Migrations) -> None:
        self.environment = selected.environment
        self._pattern = selected.databases
        self.findings: list[Diagnosis] = []
        self.versions: list[str] = []
        self._named = named
        self._root = root
        self._migrations = migrations

    def run(self) -> None:
        """Look at it. Never fails."""
        try:
            self._examine()
        except MonarchError as error:
            self.findings.append(problem(self.environment.label, "server", error))
        except Exception as error:  # of a driver, for example; it must not hide the others
            unexpected = ServerError(f"It could not be looked at: {type(error).__name__}: {error}")
            self.findings.append(problem(self.environment.label, "server", unexpected))

    def _examine(self) -> None:
        environment = self.environment
        try:
            environment.require_complete()
        except MonarchError as error:
            is_absent = environment.problem is None and not self._named
            one = problem(environment.label, "settings", error)
            if is_absent:
                one = skipped(environment.label, "settings", f"{error.message} {error.hint or ''}")
            self.findings.append(one)
            return
        if environment.embedded:
            seen = find_kind(environment.kind).examine_embedded()
            if seen is not None:
                self.findings.append(found(environment.label, seen))
            return
        members = find_members(environment, self._root)
        if self._pattern is not None:
            members = tuple(one for one in members if fnmatchcase(one.db_name, self._pattern))
        if not members:
            raise MonarchError(f"No database of {environment.label!r} matches {self._pattern!r}.")
        first, *others = members
        self._examine_database(first, environment.label, whole=True)
        self._examine_others(others)

    def _examine_others(self, others: Sequence[Environment]) -> None:
        """Look at the other databases of the same environment: only what is not well is shown of each."""
        if not others or any(one.check == "server" and one.state is Health.PROBLEM for one in self.findings):
            return
        end, before, seen = time.monotonic() + _SECONDS, len(self.findings), 0
        for member in others:
            if time.monotonic() > end:
                break
            self._examine_database(member, member.label, whole=False)
            seen += 1
        label = self.environment.label
        if len(self.findings) == before:
            message = f"{seen} other database{'s' * (seen != 1)}: all is well."
            self.findings.append(fine(label, "databases", message))
        if seen < len(others):
            message = f"There was no time for {len(others) - seen} of its databases: name them one by one."
            self.findings.append(skipped(label, "databases", message))

    def _examine_database(self, environment: Environment, label: str, *, whole: bool) -> None:
        seen: list[Observation] = []
        with open_database(environment, self._root) as database:
            for one in database.examine(is_far(environment), _SECONDS):
                seen.append(one)
                if one.version:
                    self.versions.append(one.version)
            reached = not any(one.check == "server" and one.state is Health.PROBLEM for one in seen)
            if reached:
                seen += self._history(environment, database)
        self.findings += [
            found(label, one) for one in seen if whole or one.state in (Health.WARNING, Health.PROBLEM)
        ]

    def _history(self, environment: Environment, database: Database) -> Iterator[Observation]:
        files = self._migrations.of(environment.kind)
        if files is not None:
            yield judge_migrations(files, database, environment.label)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
