"""From the documents of a sample to suggestions for its collections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monarch.errors import UsageError
from monarch.privacy.detection.fields import ARRAY, DOCUMENT, NULL, FieldNode
from monarch.privacy.detection.judge import Field, FieldVerdict, judge
from monarch.privacy.detection.references import Judged, link
from monarch.privacy.detection.rules import IDENTIFIER, KEEP, REMOVE, rule_for
from monarch.privacy.detection.rules import NULL as EMPTIED
from monarch.privacy.detection.suggestion import CollectionSuggestions, PersonalKind, Suggestion
from monarch.privacy.detection.texts import is_iso_date
from monarch.privacy.paths import ITEMS, OTHERS, join_path, split_path
from monarch.privacy.rules import ValueKind

# A street of so few letters is the number of a house.
_HOUSE_NUMBER = 6
# What no name or value makes personal.
_KEPT_TYPES = frozenset({ValueKind.OBJECT_ID, ValueKind.UUID, ValueKind.BOOLEAN})


@dataclass
class CollectionProfile:
    """A collection and the documents that were read of it.

    ``documents`` is how many it has. ``unique`` are the fields of its unique indexes, with dots between the
    names and nothing for arrays.
    """

    name: str
    documents: int
    unique: frozenset[str] = frozenset()
    read: int = 0
    unwritable: int = 0
    root: FieldNode = field(default_factory=FieldNode)

    def add(self, document: Mapping[str, Any]) -> None:
        """Take in one document of it."""
        self.root.add(document, self.read)
        self.read += 1

    def fields(self) -> Iterator[tuple[str, Field]]:
        """Yield the fields that need a rule, each with its path. Call it once, after all documents.

        Those are the places where single values were seen; for arrays and documents that were always empty,
        what may be in them.
        """
        self.root.join_maps()
        for parts, node in self.root.walk():
            if node.has_personal_name:
                path = _write(parts)
                if path is not None:
                    yield path, Field(self.name, parts, node)
                continue
            for below in self._places(parts, node):
                path = _write(below)
                if path is None:
                    self.unwritable += 1
                else:
                    yield path, Field(self.name, below, node if below == parts else FieldNode(seen=node.seen))

    def _places(self, parts: tuple[str, ...], node: FieldNode) -> Iterator[tuple[str, ...]]:
        kinds = set(node.types)
        has_values = bool(kinds - {DOCUMENT, ARRAY, NULL})
        if parts and (has_values or kinds == {NULL}):
            yield parts
        if parts and DOCUMENT in kinds and not node.fields and node.others is None:
            yield (*parts, OTHERS)
        if ARRAY in kinds and node.items is None:
            yield (*parts, ITEMS)

    def is_unique(self, field: Field) -> bool:
        """Whether ``field``, or a document in which it is, is in a unique index."""
        names = field.names
        return any(".".join(names[:size]) in self.unique for size in range(1, len(names) + 1))


def _write(parts: tuple[str, ...]) -> str | None:
    """Return the path of ``parts``; None if rules cannot have it, because of what a field is called."""
    path = join_path(parts)
    try:
        return path if split_path(path) == parts else None
    except UsageError:
        return None


def suggest(profiles: Sequence[CollectionProfile]) -> tuple[CollectionSuggestions, ...]:
    """Return the suggestions for the collections of a database, in their order."""
    judged = [
        Judged(profile.name, profile.is_unique(field), field.node, _suggest(profile, path, field))
        for profile in profiles
        for path, field in profile.fields()
    ]
    found: dict[str, list[Suggestion]] = {profile.name: [] for profile in profiles}
    for one in link(judged):
        found[one.collection].append(one.suggestion)
    return tuple(
        CollectionSuggestions(
            profile.name,
            profile.documents,
            profile.read,
            tuple(sorted(found[profile.name], key=lambda suggestion: suggestion.path)),
            profile.unwritable,
        )
        for profile in profiles
    )


def _suggest(profile: CollectionProfile, path: str, field: Field) -> Suggestion:
    node, verdict = field.node, judge(field)
    kind, reason = verdict.kind, verdict.reason
    if field.types and field.types <= _KEPT_TYPES and kind is not PersonalKind.SENSITIVE:
        verdict = FieldVerdict(None, "", 0.9)
        kind, reason = None, ""
    types = tuple((name, count) for name, count in node.types.most_common() if name not in (DOCUMENT, ARRAY))
    rule = KEEP if kind is None else rule_for(kind, field.types, unique=profile.is_unique(field))
    if kind is PersonalKind.BIRTH and not all(map(is_iso_date, field.texts)):
        rule = "text()"  # shift_date reads no other texts
    if rule == "street()" and field.texts and max(map(len, field.texts)) <= _HOUSE_NUMBER:
        rule = IDENTIFIER
    if kind is None and not field.types:
        rule, reason = EMPTIED, "was always null" if NULL in node.types else "was always empty"
    if node.has_personal_name:
        rule, reason, kind = REMOVE, "the names of these fields look personal", PersonalKind.EMAIL
    return Suggestion(
        path,
        types,
        min(node.seen, profile.read),
        profile.read,
        rule,
        reason,
        round(verdict.confidence, 2),
        kind,
    )
