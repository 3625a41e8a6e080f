"""What a copy or a restore would do to its target."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monarch.databases.base import Holdings
from monarch.databases.history import IncompleteDatabase
from monarch.databases.selection import Choice
from monarch.databases.transfer import CollectionSummary, TransferDatabase
from monarch.databases.transform import MaskedField
from monarch.handouts.policy import Passage


@dataclass(frozen=True)
class CopyPlan:
    """What a copy would write into the target (``comes``), and what would be replaced or dropped (``goes``).

    ``unfinished`` describes an earlier copy into the target that was cut off; None if there is none.
    ``notes`` are those of the source, as in `Source.notes`, and which rights the user of the target lacks.
    """

    engine: str
    versions: tuple[str, ...]
    comes: tuple[CollectionSummary, ...]
    goes: tuple[CollectionSummary, ...]
    unfinished: str | None = None
    notes: tuple[str, ...] = ()
    # How the contents of a private environment would pass, and which of their fields would be masked.
    passage: Passage = Passage.OPEN
    masked: tuple[MaskedField, ...] = ()
    # Some documents as they would arrive: for each its collection, and its text.
    documents: tuple[tuple[str, str], ...] = ()
    # What comes under another name: that of the source, and that in ``comes``.
    renamed: tuple[tuple[str, str], ...] = ()
    # Whether all of ``goes`` stays that has no name of ``comes``.
    keeps_others: bool = False
    # Whether the source is a subset that was not resolved, so that ``comes`` is not known.
    unresolved: bool = False
    # The names of what the target holds too, without counts.
    uncounted: tuple[str, ...] = ()
    # What the target keeps in any case, such as its journal.
    lasts: tuple[CollectionSummary, ...] = ()

    @property
    def replaced(self) -> tuple[CollectionSummary, ...]:
        """What of ``goes`` has the name of something that comes."""
        names = self._arriving_names()
        return tuple(one for one in self.goes if one.name in names)

    @property
    def others(self) -> tuple[CollectionSummary, ...]:
        """What of ``goes`` has another name: it is dropped, or stays with ``keeps_others``."""
        names = self._arriving_names()
        return tuple(one for one in self.goes if one.name not in names)

    @property
    def uncounted_others(self) -> tuple[str, ...]:
        """Those of ``uncounted`` that have no name of something that comes."""
        names = self._arriving_names()
        return tuple(one for one in self.uncounted if one not in names)

    def replacing(self, held: Holdings, lasting: frozenset[str]) -> CopyPlan:
        """Return the plan with what goes of a target that holds ``held``, but for what is ``lasting``."""
        goes = tuple(one for one in held.collections if one.name not in lasting)
        lasts = tuple(one for one in held.collections if one.name in lasting)
        return replace(self, goes=goes, lasts=lasts, uncounted=tuple(sorted(set(held.uncounted) - lasting)))

    def _arriving_names(self) -> set[str]:
        return {one.name for one in self.comes}


def arriving(choice: Choice, comes: tuple[CollectionSummary, ...]) -> tuple[CollectionSummary, ...]:
    """Return ``comes`` by the names that ``choice`` gives them in the target."""
    if not choice.rename:
        return comes
    renamed = (replace(one, name=choice.new_name(one.name)) for one in comes)
    return tuple(sorted(renamed, key=lambda one: one.name))


def lasting_of(target: TransferDatabase, choice: Choice) -> frozenset[str]:
    """Return the names of collections of ``target`` that are neither replaced nor dropped in any case."""
    return frozenset() if choice.into_existing else target.lasting


def describe_unfinished(target: TransferDatabase) -> str | None:
    """Return what an earlier transfer into ``target`` has left unfinished; None if there is nothing."""
    try:
        target.require_whole()
    except IncompleteDatabase as error:
        return error.message
    return None
