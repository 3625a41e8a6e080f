"""The masks of one transfer: none, or the rules of the project under a key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from monarch.databases import find_kind
from monarch.databases.transfer import CollectionSummary, Source, TransferDatabase
from monarch.databases.transform import MaskedField, MaskingTransform, Transform
from monarch.errors import MonarchError, UsageError
from monarch.handouts.policy import Passage
from monarch.privacy.printed import watch_streams
from monarch.privacy.project_masks import ProjectMasks, load_project_masks
from monarch.progress import Progress
from monarch.settings.search import place_at

_Source = TypeVar("_Source", bound=Source)


@dataclass(frozen=True)
class TransferMasks:
    """The masks of one transfer, which contents pass as ``passage`` says.

    ``masking`` is None if nothing is masked. ``lasting`` if later transfers will have the same masks.
    """

    passage: Passage = Passage.OPEN
    masking: MaskingTransform | None = None
    lasting: bool = False

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """The transforms that mask."""
        return () if self.masking is None else (self.masking,)

    def on(self, source: _Source) -> _Source:
        """Return the contents of ``source``, masked.

        :raises MaskingError: if there are no rules for one of its collections.
        """
        if self.masking is None:
            return source
        self.require_rules(source.summaries)
        return source.transformed(self.transforms)

    def require_rules(self, summaries: tuple[CollectionSummary, ...]) -> None:
        """Check that there are rules for all of these collections.

        :raises MaskingError: naming those for which there are none.
        """
        if self.masking is not None:
            self.masking.require_rules(summaries)

    def fields(self, source: Source) -> tuple[MaskedField, ...]:
        """Return what is masked in ``source``."""
        return () if self.masking is None else self.masking.fields(source.summaries)

    def notes(self, source: Source) -> tuple[str, ...]:
        """Return what people should know of masks of ``source``."""
        return () if self.masking is None else self.masking.notes(source)


NO_MASKS = TransferMasks()


@contextmanager
def naming(environment: str | None) -> Iterator[None]:
    """Name ``environment`` in hints of errors that say how rules are written, if it is known."""
    try:
        yield
    except MonarchError as error:
        if environment is not None and error.hint:
            error.hint = error.hint.replace("suggest_masks ENVIRONMENT", f"suggest_masks {environment}")
        raise


def load_rules(
    passage: Passage, kind: str, root: Path, environment: str | None, *, check_all: bool = False
) -> ProjectMasks | None:
    """Return the rules of the project at ``root``; None if nothing is masked.

    :param kind: that of the database whose contents pass.
    :param environment: the name of its environment, for hints; None if it is not known.
    :param check_all: whether the leak check looks at all documents, not at a sample.

    :raises UsageError: if this kind has no masks.
    :raises ProjectError: if there are no rules, or they cannot be read.
    """
    if passage is not Passage.MASKED:
        return None
    found = find_kind(kind)
    if not found.masks:
        raise UsageError(
            f"Contents of a {found.title} database cannot be masked yet.",
            "Nothing was changed. Copy between private environments, or as they are: --raw.",
        )
    with naming(environment):
        return load_project_masks(root, place_at(root).privacy, check_all=check_all)


@contextmanager
def open_masks(
    passage: Passage,
    rules: ProjectMasks | None,
    database: TransferDatabase,
    progress: Progress,
    environment: str | None,
) -> Iterator[TransferMasks]:
    """Mask by ``rules`` for as long as the context lasts, if there are any. What they print is discarded.

    :param database: any database of the kind whose contents are masked.
    :param environment: as in `load_rules`.
    :raises UsageError: if this kind has no masks.
    """
    if rules is None:
        yield TransferMasks(passage)
        return
    with naming(environment), discarding(rules, progress), database.open_masking(rules) as masking:
        yield TransferMasks(passage, masking, rules.key.lasting)


@contextmanager
def discarding(rules: ProjectMasks, progress: Progress) -> Iterator[None]:
    """Discard what ``rules`` print for as long as the context lasts, and report at its end if they did."""
    try:
        with watch_streams():
            yield
    finally:
        if rules.printed.any:
            progress.message(
                "migrations/privacy.py printed text, which was discarded: it may hold values of people"
            )
