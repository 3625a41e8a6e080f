"""Suggested masks for an environment: which fields of a sample look personal, and which have no rule yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from monarch.databases.sampling import CollectionSample
from monarch.privacy.detection import CollectionSuggestions, Suggestion
from monarch.privacy.detection.suggest import CollectionProfile, suggest
from monarch.privacy.masks import CollectionMasks, Masks
from monarch.privacy.paths import ITEMS, OTHERS, PathNode, split_path

# The documents of each collection that are read unless a person says otherwise.
SAMPLE = 1000


@dataclass(frozen=True)
class MaskSuggestions:
    """The suggestions for the database of ``environment``.

    ``collections`` are all collections with all fields, ``new`` those fields and collections for which
    there is no rule yet.
    """

    environment: str
    collections: tuple[CollectionSuggestions, ...]
    new: tuple[CollectionSuggestions, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know, without values."""
        return tuple(
            f"{one.name} has {one.unwritable} fields whose names no path can have, such as an empty one: "
            f"write a function (@masks.of({one.name!r}))."
            for one in self.new
            if one.unwritable
        )


def suggest_for(
    environment: str, samples: Iterable[CollectionSample], masks: Masks | None
) -> MaskSuggestions:
    """Return the suggestions for ``samples``.

    :param masks: the rules that there are; None if there are none.
    """
    profiles = []
    for sample in samples:
        profile = CollectionProfile(sample.name, sample.total, sample.unique)
        for document in sample.documents:
            profile.add(document)
        profiles.append(profile)
    collections = suggest(profiles)
    new = (_without_known(one, masks) for one in collections)
    return MaskSuggestions(environment, collections, tuple(one for one in new if one is not None))


def _without_known(suggested: CollectionSuggestions, masks: Masks | None) -> CollectionSuggestions | None:
    """Return what of ``suggested`` no rule of ``masks`` names; None if that is nothing."""
    if masks is None or suggested.name not in set(masks):
        return suggested
    rules = masks.find(suggested.name)
    if not isinstance(rules, CollectionMasks):  # a function, or kept whole
        return None
    tree = rules.tree()
    fields = tuple(one for one in suggested.fields if not _is_named(one, tree))
    return replace(suggested, fields=fields) if fields else None


def _is_named(suggestion: Suggestion, tree: PathNode) -> bool:
    node = tree
    for part in split_path(suggestion.path):
        below = _below(node, part)
        if below is None:
            return node.rest is not None
        node = below
        if node.rest is not None:
            return True
    return node.rule is not None


def _below(node: PathNode, part: str) -> PathNode | None:
    if part == ITEMS:
        return node.items
    if part == OTHERS:
        return node.others
    return node.fields.get(part) or node.others
