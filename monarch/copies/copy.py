"""Copy the database of one environment into that of another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from monarch.copies.plan import CopyPlan, arriving, describe_unfinished, lasting_of
from monarch.copies.subset import SubsetRequest, shown_options
from monarch.copies.transfer import (
    DatabaseSink,
    Interruption,
    Transfer,
    report_interruption,
    same_database,
)
from monarch.databases import find_kind, open_database, require_transfers
from monarch.databases.environment import Environment
from monarch.databases.history import Action, Operation
from monarch.databases.selection import EVERYTHING, Choice, Selection
from monarch.databases.transfer import (
    CollectionSummary,
    Engine,
    LiveSource,
    TransferDatabase,
    as_transfer_database,
)
from monarch.databases.transform import Transform
from monarch.errors import MonarchError, UsageError
from monarch.handouts.masks import NO_MASKS, TransferMasks, load_rules, open_masks
from monarch.handouts.policy import Passage, find_passage
from monarch.progress import Progress
from monarch.querysets.evaluate import EvaluatedQuerySet
from monarch.system.ci import find_origin


@dataclass(frozen=True)
class Copy:
    """A copy of the open database ``source``, or of a ``selection`` of it, into the open ``target``.

    ``names`` are those of the two environments. ``interruption`` is what Ctrl-C reports. ``allow_empty``
    allows a source without collections. With ``compare_contents`` the copy is compared by hashes too.
    ``masks`` are those that hold if the contents leave a private environment; the ``operation`` is recorded
    in the journal of the target.
    """

    source: TransferDatabase
    target: TransferDatabase
    names: tuple[str, str]
    engine: Engine
    interruption: Interruption
    allow_empty: bool = False
    selection: Selection | None = None
    transforms: tuple[Transform, ...] = ()
    choice: Choice = EVERYTHING
    compare_contents: bool = False
    masks: TransferMasks = NO_MASKS
    operation: Operation | None = None

    def plan(self, show: int = 0) -> CopyPlan:
        """Return what the transfer would do, and ``show`` documents of each collection. Writes nothing.

        :raises UsageError: if both are the same database.
        :raises MonarchError: if the source holds nothing, or is incomplete, or a mask is missing.
        """
        self._require_source()
        source = self._read(self.selection).chosen(self.choice)
        comes = source.summaries
        self._require_contents(comes)
        source = self.masks.on(source)
        self.target.require_replaceable(self._arriving(comes))
        held, lasting = self.target.read(self.engine).summaries, lasting_of(self.target, self.choice)
        refusal = self.target.missing_rights(source)
        notes = source.notes if refusal is None else (*source.notes, refusal)
        return CopyPlan(
            self.engine.name,
            self.engine.versions,
            self._arriving(comes),
            tuple(one for one in held if one.name not in lasting),
            describe_unfinished(self.target),
            (*notes, *self.masks.notes(source)),
            self.masks.passage,
            self.masks.fields(source),
            tuple(source.documents(show)) if show else (),
            self.choice.rename,
            self.choice.into_existing,
            lasts=tuple(one for one in held if one.name in lasting),
        )

    def check(self) -> CopyPlan:
        """Check what can be known before a transfer, and return it. Writes nothing, and resolves no subset.

        What goes is not in it: see `CopyPlan.replacing`.

        :raises UsageError: if both are the same database.
        :raises MonarchError: if the source holds nothing, or is incomplete.
        """
        self._require_source()
        source = self._read(None)
        self._require_contents(source.summaries)
        # A subset of the collections may be replaceable where not all of them are.
        contents = source.chosen(self.choice) if self.selection is None else None
        comes = () if contents is None else contents.summaries
        self.target.require_replaceable(self._arriving(comes))
        self.masks.require_rules(comes)
        return CopyPlan(
            self.engine.name,
            self.engine.versions,
            self._arriving(comes),
            (),
            describe_unfinished(self.target),
            () if contents is None else (*contents.notes, *self.masks.notes(contents)),
            self.masks.passage,
            () if contents is None else self.masks.fields(contents),
            renamed=self.choice.rename,
            keeps_others=self.choice.into_existing,
            unresolved=contents is None,
        )

    def transfer(self, *, in_place: bool = False) -> Transfer:
        """Return the transfer that replaces the contents of ``target`` by those of ``source``.

        This reads the catalog of the source. Until the swap of the transfer the target is as it was.

        :raises UsageError: if both are the same database.
        :raises MonarchError: if the source holds nothing, or is incomplete.
        """
        began = time.monotonic()
        name = self.names[1]
        self._require_source()
        source = self._read(self.selection)
        self._require_contents(source.summaries)
        carried = source.chosen(self.choice)
        # Before the lease, so that nothing at all is written.
        self.target.require_replaceable(self._arriving(carried.summaries))
        self.masks.require_rules(carried.summaries)
        sink = DatabaseSink(
            self.target,
            name,
            purpose=f"copy_db {self.names[0]}:{name}",
            completed=f"the copy into {name!r} was complete",
            source_name=self.names[0],
            source_database=self.source,
            in_place=in_place,
            keep_others=self.choice.into_existing,
            operation=self.operation,
        )
        opened = nullcontext(source)
        return Transfer(
            lambda: opened,
            sink,
            self.engine,
            self.interruption,
            began,
            (*self.transforms, *self.masks.transforms),
            self.choice,
            (*carried.notes, *self.masks.notes(carried)),
            self.masks.passage,
            self.masks.lasting,
        )

    def _read(self, selection: Selection | None) -> LiveSource:
        source = self.source.read(self.engine, selection)
        return source.comparing_contents() if self.compare_contents else source

    def _arriving(self, comes: tuple[CollectionSummary, ...]) -> tuple[CollectionSummary, ...]:
        return arriving(self.choice, comes)

    def _require_source(self) -> None:
        if self.source.is_same_as(self.target):
            raise same_database(*self.names)
        self.source.require_whole()

    def _require_contents(self, comes: tuple[CollectionSummary, ...]) -> None:
        if not comes and not self.allow_empty:
            things = f"{find_kind(self.source.kind).words[0]}s"
            raise MonarchError(
                f"{self.names[0]!r} holds no {things}: there is nothing to copy.",
                "Check its 'db_name'. To empty the target as well, use --allow-empty.",
            )


def require_two(source: str, target: str) -> None:
    """Check that the names of two environments differ.

    :raises UsageError: if they do not.
    """
    if source == target:
        raise UsageError(f"{source!r} is both the source and the target.", "Name two environments.")


@dataclass(frozen=True)
class CopyRequest:
    """A copy between two environments of the project at ``root``, before anything is connected."""

    root: Path
    source: Environment
    target: Environment
    engine: str
    allow_empty: bool
    subset: SubsetRequest
    choice: Choice = EVERYTHING
    compare_contents: bool = False
    raw: bool = False
    check_all: bool = False

    @contextmanager
    def open(self, progress: Progress) -> Iterator[Copy]:
        """Connect to both databases for as long as the context lasts, and evaluate the query set.

        :raises RunInterrupted: on Ctrl-C or a signal in the context, saying what has become of the target.
        """
        require_transfers(*((end.kind, repr(end.label)) for end in (self.source, self.target)))
        passage = find_passage(private=self.source.private, target=self.target, raw=self.raw)
        rules = load_rules(passage, self.source.kind, self.root, self.source.label, check_all=self.check_all)
        with (
            report_interruption(f"{self.target.label!r} is as it was.") as interruption,
            open_database(self.source, self.root, progress) as opened,
            open_database(self.target, self.root, progress) as opened_target,
            open_masks(passage, rules, as_transfer_database(opened), progress, self.source.label) as masks,
        ):
            source, target = as_transfer_database(opened), as_transfer_database(opened_target)
            engine = target.choose_engine(self.subset.engine(self.engine, self.source))
            evaluated = self.subset.evaluate(self.root, self.source, source, progress)
            selection = evaluated.selection if evaluated else None
            names = self.source.label, self.target.label
            yield Copy(
                source,
                target,
                names,
                engine,
                interruption,
                self.allow_empty,
                selection,
                choice=self.choice,
                compare_contents=self.compare_contents,
                masks=masks,
                operation=self._operation(passage, evaluated),
            )

    def _operation(self, passage: Passage, evaluated: EvaluatedQuerySet | None) -> Operation:
        pair = f"{self.source.label}:{self.target.label}"
        return Operation(
            f"copy_db {pair} {self.choice.as_arguments()}".rstrip(),
            Action.RAW if passage is Passage.RAW else Action.COPY,
            self.target.label,
            find_origin(self.root),
            time.monotonic(),
            query_set=evaluated.name if evaluated else None,
            query_options=shown_options(evaluated, masked=passage is Passage.MASKED),
        )
