"""Fields that hold the values of other fields: they need the same masks, so that they still lead there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from monarch.privacy.detection.fields import FieldNode
from monarch.privacy.detection.judge import percent
from monarch.privacy.detection.rules import make_unique
from monarch.privacy.detection.suggestion import PersonalKind as Kind
from monarch.privacy.detection.suggestion import Suggestion

# What other fields refer to people by.
_REFERRED = (
    Kind.EMAIL,
    Kind.PHONE,
    Kind.USERNAME,
    Kind.FULL_NAME,
    Kind.NATIONAL_ID,
    Kind.IBAN,
    Kind.CARD,
    Kind.COMPANY,
)
_FEWEST = 5
# A sample of one collection has not all that the sample of another one refers to.
_LEAST = 0.5
# Above that the field's own evidence decides.
_SURE = 0.8


@dataclass(frozen=True)
class Judged:
    """A field with what is suggested for it so far; ``unique`` if an index demands that of its values."""

    collection: str
    unique: bool
    node: FieldNode
    suggestion: Suggestion

    @property
    def place(self) -> str:
        """Its collection and path, for people."""
        return f"{self.collection}.{self.suggestion.path}"


def link(fields: Sequence[Judged]) -> list[Judged]:
    """Return ``fields`` so that the same values get the same masks."""
    referred = [one for one in fields if one.suggestion.kind in _REFERRED and one.suggestion.confidence > 0.6]
    targets = [(one, _values(one)) for one in referred]
    linked = [_refer(one, targets) for one in fields]
    unique = {one.suggestion.rule for one in linked}
    return [_as_unique_elsewhere(one, unique) for one in linked]


def _values(one: Judged) -> frozenset[Hashable]:
    return frozenset(
        value for value in one.node.values if isinstance(value, str | int) and len(str(value)) > 2
    )


def _refer(one: Judged, targets: Sequence[tuple[Judged, frozenset[Hashable]]]) -> Judged:
    own = one.suggestion
    if own.kind is not None and own.confidence >= _SURE:
        return one
    values = _values(one)
    if len(values) < _FEWEST:
        return one
    best, most = None, 0.0
    for target, others in targets:
        share = len(values & others) / len(values)
        if target is not one and share >= _LEAST and share > most:
            best, most = target, share
    if best is None:
        return one
    reason = f"has the values of {best.place!r} ({percent(most)} of them)"
    rule = make_unique(best.suggestion.rule) if one.unique else best.suggestion.rule
    sure = round(0.5 + 0.45 * most, 2)
    found = replace(own, rule=rule, reason=reason, confidence=sure, kind=best.suggestion.kind)
    return replace(one, suggestion=found)


def _as_unique_elsewhere(one: Judged, unique: set[str]) -> Judged:
    """Where one field must stay unique, the fields with the same kind of values get the same mask."""
    rule = make_unique(one.suggestion.rule)
    if rule == one.suggestion.rule or rule not in unique:
        return one
    return replace(one, suggestion=replace(one.suggestion, rule=rule))
