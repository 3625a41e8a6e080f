"""Replace the contents of a database by those of a source."""

from __future__ import annotations

from dataclasses import dataclass

from monarch.databases.postgres.connection.client import UNLIMITED, connect
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.maintenance import (
    connect_for_maintenance,
    find_number,
    old_name,
    staging_name,
)
from monarch.databases.postgres.connection.pooler import refuse_pooler
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.lease import ANSWER, PostgresLease
from monarch.databases.postgres.sources.base import PostgresSource
from monarch.databases.postgres.swap.carry_over import carry_over, create_like
from monarch.databases.postgres.swap.compare import compare, require_valid_texts
from monarch.databases.postgres.swap.in_place import replace_in_place
from monarch.databases.postgres.swap.leftovers import drop_leftovers, free_room
from monarch.databases.postgres.swap.requirements import Adaptation, adapt, require_comparable, try_extensions
from monarch.databases.postgres.swap.restore import Restoring
from monarch.databases.postgres.swap.switch import Recording, switch, take_over_state
from monarch.databases.postgres.swap.target import Target, read_target
from monarch.databases.postgres.tools.installed import PostgresEngine, Tools
from monarch.databases.transfer import CopiedCollection
from monarch.errors import LeaseLost, MonarchError, RunInterrupted
from monarch.progress import Progress

# Few rows of each table: a first idea for the planner, until autovacuum has read more.
_ANALYZE = "SET default_statistics_target = 10"
# Seconds in which a server that answers drops a database.
_DROPPING = 60.0


@dataclass
class PostgresReplacement:
    """The replacement of the contents of the database of ``session``, whose ``lease`` this run holds."""

    session: Session
    lease: PostgresLease
    engine: PostgresEngine
    progress: Progress
    # The statement by which the journal records the command, together with the contents.
    recording: Recording | None = None
    # The server's number of the database in which the copy is built.
    _staging: int | None = None
    _is_swapping: bool = False
    _is_silent: bool = False

    def run(self, source: PostgresSource, *, in_place: bool) -> tuple[CopiedCollection, ...]:
        """Replace the contents by those of ``source``; return its tables and views.

        Until the end the target is as it was. If its user may not create databases, or with ``in_place``,
        one transaction replaces the contents.

        :raises UsageError: if the server lacks what the contents need.
        :raises ServerError: if the replacement fails; the target is as it was.
        """
        target, adaptation = plan(self.session, source)
        tools = self.engine.choose(max(source.needs.major, source.needs.program), target.major)
        for note in adaptation.notes:
            self.progress.message(note.removesuffix("."))
        if target.refusal is not None and not in_place:
            self.progress.message(
                f"{self.session.environment.label!r} is replaced in place, in one transaction: "
                f"{target.refusal}"
            )
        if in_place or target.refusal is not None:
            for note in _lost_publications(target):
                self.progress.message(note.removesuffix("."))
            return replace_in_place(
                self.session, self.lease, source, tools, adaptation, self.progress, self.recording
            )
        return self._beside(source, tools, target, adaptation)

    def _beside(
        self, source: PostgresSource, tools: Tools, target: Target, adaptation: Adaptation
    ) -> tuple[CopiedCollection, ...]:
        try:
            copied = self._build(source, tools, target, adaptation)
            self._is_swapping = True
            self.progress.phase("swapping")
            take_over_state(self.session.environment, self.lease, copied, self.recording)
            switch(self.session, self.lease, self._staging)
        except BaseException as error:
            swapped = self._clean_up()
            if isinstance(error, KeyboardInterrupt) and self._is_silent and self._is_swapping:
                raise self._unknown() from error
            if swapped and isinstance(error, KeyboardInterrupt):
                raise self._too_late() from error
            raise
        self._drop_old()
        return copied

    def _clean_up(self) -> bool:
        """Drop what a transfer that fails has left; return whether its swap was complete."""
        environment = self.session.environment
        try:
            # What is there may be that of another run, which has taken over.
            with self.session.limited(ANSWER):
                self.session.transact(self.lease.require)
        except LeaseLost:
            return False
        except MonarchError as error:
            self._is_silent = True
            self.progress.message(f"What was written may be left for the next copy to drop: {error.message}")
            return False
        try:
            if self._staging is not None:
                free_room(environment)
            return old_name(environment.db_name) in drop_leftovers(environment, _DROPPING)
        except MonarchError as error:
            if self._staging is not None:
                self.progress.message(f"What was written is left for the next copy to drop: {error.message}")
        return False

    def _unknown(self) -> RunInterrupted:
        name = self.session.environment.label
        return RunInterrupted(
            f"Interrupted at the swap of {name!r}, and its server does not answer: {name!r} has all of its "
            "old contents or the new ones.",
            "It may refuse connections. The next command that reaches the server allows them again: run "
            f"monarch history {name}",
        )

    def _too_late(self) -> RunInterrupted:
        name = self.session.environment.label
        return RunInterrupted(f"Interrupted. By then {name!r} was swapped.", "The copy is complete.")

    def _build(
        self, source: PostgresSource, tools: Tools, target: Target, adaptation: Adaptation
    ) -> tuple[CopiedCollection, ...]:
        """Build the copy in a database beside the target, and compare it with its source."""
        environment = self.session.environment
        new = staging_name(environment.db_name)
        self.progress.phase("copying")
        with explained(environment):
            self._create_staging(target, new)
            with connect(environment, new, autocommit=True) as connection:
                try_extensions(connection, adaptation.untrusted, environment.label)
            restoring = Restoring(
                tools,
                environment,
                self.session,
                new,
                adaptation.arguments,
                self.lease.check,
                self.progress,
            )
            # As short as possible: the source keeps old versions of rows for as long as it is read.
            with source.open(tools, self.lease.check, self.progress) as dump:
                expected = restoring.write_rows(dump)
            restoring.create_indexes()
            self.progress.phase("comparing")
            with connect(environment, new, autocommit=True) as connection:
                connection.execute(UNLIMITED)
                compare(connection, expected, environment.label)
                if adaptation.checks_texts:
                    require_valid_texts(connection, environment.label)
                connection.execute(_ANALYZE)
                connection.execute("ANALYZE")
        return source.copied(expected, restoring.clock)

    def _create_staging(self, target: Target, name: str) -> None:
        """Create the database ``name``, by a connection that is closed at once: it could block others."""
        with connect_for_maintenance(self.session.environment) as maintenance:
            create_like(maintenance, target, name)
            self._staging = find_number(maintenance, name)
            carry_over(maintenance, target, name)

    def _drop_old(self) -> None:
        """Drop the old contents. The swap is complete, so an interruption comes too late."""
        try:
            drop_leftovers(self.session.environment)
        except MonarchError as error:
            self.progress.message(f"The old contents are left for the next copy to drop: {error.message}")
        except KeyboardInterrupt as error:
            raise self._too_late() from error


def plan(session: Session, source: PostgresSource) -> tuple[Target, Adaptation]:
    """Return the target, and how the contents of ``source`` are adapted to its server. Writes nothing.

    :raises UsageError: if they cannot be written there.
    """
    name = session.environment.label
    with explained(session.environment):
        session.rows("SELECT")  # opens it again if it was idle for too long
        refuse_pooler(session.open(), session.environment)
    target = session.transact(read_target)
    if source.compares_contents:
        require_comparable(target, source.needs, source.name, name)
    return target, session.transact(lambda cursor: adapt(cursor, target, source.needs, source.name, name))


def describe_plan(session: Session, source: PostgresSource) -> str | None:
    """Return in one line how a replacement by ``source`` would be adapted; None if it would not.

    :raises UsageError: if its contents cannot be written there.
    """
    target, adaptation = plan(session, source)
    notes = list(adaptation.notes)
    if target.refusal is not None:
        notes.append(f"It would be replaced in place, in one transaction: {target.refusal}.")
        notes += _lost_publications(target)
    return " ".join(notes) or None


def _lost_publications(target: Target) -> list[str]:
    return [
        f"The publication {name!r} names tables or schemas, which are dropped: "
        "add the new ones by ALTER PUBLICATION, then refresh its subscriptions."
        for name in target.publications
    ]
