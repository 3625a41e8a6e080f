"""Fields that hold the values of other fields: they need the same masks, so that they still lead there."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from monarch.privacy.detection.fields import FieldNode
from monarch.privacy.detection.judge import percent
from monarch.privacy.detection.rules import make_unique, rule_for
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
    Kind.URL,
)
# What is found in longer texts, if it is of several words or a code.
_MENTIONED = (
    *(Kind.EMAIL, Kind.PHONE, Kind.USERNAME, Kind.FULL_NAME, Kind.NATIONAL_ID, Kind.IBAN, Kind.CARD),
    *(Kind.COMPANY, Kind.STREET, Kind.CITY),
)
_WORDS = re.compile(r"\S+")
# In words, and in letters.
_LONGEST, _SHORTEST = 3, 6
_SHORTEST_BESIDE = 4
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
    personal = [
        (one.collection, value)
        for one in fields
        if one.suggestion.kind in _MENTIONED
        for value in one.node.values
        if isinstance(value, str)
    ]
    anywhere = {value for _, value in personal if _is_telling(value)}
    beside: dict[str, set[str]] = {}
    for collection, value in personal:
        if len(value) >= _SHORTEST_BESIDE:
            beside.setdefault(collection, set()).add(value)
    linked = [_mention(_refer(one, targets), anywhere, beside.get(one.collection, set())) for one in fields]
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


def _is_telling(value: str) -> bool:
    """Whether ``value`` hardly occurs in a text by chance: two or three words, or a code."""
    words = len(_WORDS.findall(value))
    return len(value) >= _SHORTEST and (2 <= words <= _LONGEST or any(map(str.isdigit, value)))


def _mention(one: Judged, anywhere: set[str], beside: set[str]) -> Judged:
    """Mask a kept text that values of masked fields occur in: the leak check would find them there.

    ``anywhere`` are those that tell something in any collection. ``beside`` are those of its own collection,
    which are searched in longer texts.
    """
    own = one.suggestion
    texts = [value for value in one.node.values if isinstance(value, str)]
    if own.kind is not None or not texts:
        return one
    share = sum(_holds(text, anywhere, beside) for text in texts) / len(texts)
    if not share:
        return one
    rule = rule_for(Kind.TEXT, frozenset(name for name, _ in own.types) - {"null"}, unique=one.unique)
    reason = f"values of masked fields occur in it ({percent(share)} of values)"
    found = replace(own, rule=rule, reason=reason, confidence=round(0.5 + 0.4 * share, 2), kind=Kind.TEXT)
    return replace(one, suggestion=found)


def _holds(text: str, anywhere: set[str], beside: set[str]) -> bool:
    return any(part in anywhere or (part in beside and part != text) for part in _parts_of(text))


def _parts_of(text: str) -> Iterator[str]:
    """Yield the parts of ``text`` of up to three words, without the punctuation around them."""
    words = _WORDS.findall(text)
    for start in range(len(words)):
        for end in range(start + 1, min(start + _LONGEST, len(words)) + 1):
            yield " ".join(words[start:end]).strip(".,;:!?()[]\"'")


def _as_unique_elsewhere(one: Judged, unique: set[str]) -> Judged:
    """Where one field must stay unique, the fields with the same kind of values get the same mask."""
    rule = make_unique(one.suggestion.rule)
    if rule == one.suggestion.rule or rule not in unique:
        return one
    return replace(one, suggestion=replace(one.suggestion, rule=rule))
