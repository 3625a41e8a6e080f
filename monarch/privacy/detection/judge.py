"""Judging one field: whether it is personal, by its name, its values and the names around it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from monarch.privacy.detection import texts
from monarch.privacy.detection.checks import is_card, is_national_id
from monarch.privacy.detection.fields import ARRAY, DOCUMENT, NULL, FieldNode
from monarch.privacy.detection.people import has_last_name, looks_like_a_name
from monarch.privacy.detection.suggestion import PersonalKind as Kind
from monarch.privacy.detection.words import Strength, about, hint_within, is_in, split_words
from monarch.privacy.paths import ITEMS, OTHERS
from monarch.privacy.rules import ValueKind

# Kinds that values show by themselves, if this part of them looks so.
_BY_VALUE = {
    Kind.EMAIL: 0.3,
    Kind.PASSWORD: 0.3,
    Kind.IBAN: 0.5,
    Kind.CARD: 0.8,
    Kind.IP: 0.6,
    Kind.MAC: 0.6,
    Kind.PHONE: 0.6,
    Kind.DEVICE: 0.5,
    Kind.URL: 0.3,
    Kind.STREET: 0.6,
    Kind.NATIONAL_ID: 0.9,
    Kind.TOKEN: 0.8,
}
# One value of them in ten is one by chance.
_NEED_MANY = (Kind.NATIONAL_ID, Kind.CARD)
_NAMES = (Kind.FULL_NAME, Kind.FIRST_NAME, Kind.LAST_NAME)
_PLACES = (Kind.STREET, Kind.CITY, Kind.POSTCODE, Kind.LOCATION, Kind.URL)
_VARIED = (Kind.EMAIL, Kind.PHONE, Kind.USERNAME, Kind.TEXT, Kind.IP, Kind.MAC, Kind.URL, Kind.DEVICE)
_FEW = 8
_NUMBERS = frozenset({ValueKind.INTEGER, ValueKind.FLOAT, ValueKind.DECIMAL})
_TYPES: dict[Kind, frozenset[str]] = {
    Kind.BIRTH: frozenset({ValueKind.DATE, ValueKind.TEXT, ValueKind.INTEGER}),
    Kind.AGE: _NUMBERS | {ValueKind.TEXT},
    Kind.MONEY: _NUMBERS | {ValueKind.TEXT},
    Kind.LOCATION: _NUMBERS | {ValueKind.TEXT},
    Kind.GENDER: frozenset({ValueKind.TEXT, ValueKind.INTEGER}),
    Kind.SENSITIVE: _NUMBERS | {ValueKind.TEXT, ValueKind.BOOLEAN},
    Kind.FILE: frozenset({ValueKind.BINARY}),
    Kind.PASSWORD: frozenset({ValueKind.TEXT, ValueKind.BINARY, ValueKind.INTEGER}),
    Kind.TOKEN: frozenset({ValueKind.TEXT, ValueKind.BINARY}),
}
_CODES = frozenset({ValueKind.TEXT, ValueKind.INTEGER})
_OF_NUMBERS = (Kind.PHONE, Kind.POSTCODE, Kind.NATIONAL_ID, Kind.CARD, Kind.IBAN)
_NOT_TOKENS = split_words("etag checksum md5 sha sha1 sha256 digest hash id ids key uid uuid rev")
_NUMBERED = split_words("id ids isbn ean sku gtin number no ts")


@dataclass(frozen=True)
class FieldVerdict:
    """What a field was found to hold. ``kind`` is None if nothing personal was found."""

    kind: Kind | None
    reason: str
    confidence: float


@dataclass(frozen=True)
class Field:
    """One field to judge: its place in the ``collection``, and what was seen there."""

    collection: str
    parts: tuple[str, ...]
    node: FieldNode

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the fields on the way to it, and its own."""
        return tuple(part for part in self.parts if part not in (ITEMS, OTHERS))

    @property
    def name(self) -> str:
        """Its own name; that of the array or map in which it is."""
        return self.names[-1] if self.names else ""

    @cached_property
    def types(self) -> frozenset[str]:
        """The types of its single values, without null."""
        return frozenset(self.node.types) - {NULL, ARRAY, DOCUMENT}

    @cached_property
    def texts(self) -> list[str]:
        """The texts among its values that are not empty."""
        return [value for value in self.node.values if isinstance(value, str) and value.strip()]

    @cached_property
    def surroundings(self) -> str | None:
        """Whether it is about people or things; see `about`."""
        return about(self.names[:-1], self.collection)

    @cached_property
    def is_enumeration(self) -> bool:
        """Whether few texts come again and again."""
        found = len(set(self.texts))
        return found <= 3 or (len(self.texts) >= 20 and found <= len(self.texts) * 0.1)

    @cached_property
    def counts(self) -> Counter[Kind]:
        """How many of its texts look like what."""
        return texts.count_kinds(self.texts)

    def share(self, count: int) -> float:
        """Return ``count`` as a share of its texts."""
        return count / len(self.texts) if self.texts else 0.0


def percent(share: float) -> str:
    """Return ``share`` for people, such as ``98 %``."""
    return f"{share:.0%}".replace("%", " %")


def judge(field: Field) -> FieldVerdict:
    """Return what ``field`` holds, as far as its name and its values say."""
    hint = hint_within(field.names[-2] if len(field.names) > 1 else None, field.name)
    by_value = _by_value(field)
    kind = hint.kind
    if by_value is not None and (by_value.kind is not Kind.URL or kind is None):
        if kind in (Kind.PASSWORD, Kind.TOKEN, Kind.FULL_NAME) and by_value.kind in (Kind.TOKEN, Kind.STREET):
            return FieldVerdict(kind, by_value.reason, 0.9)
        agrees = by_value.kind is kind
        return FieldVerdict(by_value.kind, by_value.reason, 0.98 if agrees else by_value.confidence)
    if kind is not None and _fits(field, kind, hint.strength):
        return _by_name(field, kind, hint.strength)
    if hint.ambiguous or kind in _NAMES:
        verdict = _ambiguous(field)
        if verdict is not None:
            return verdict
    return _by_contents(field)


def _by_value(field: Field) -> FieldVerdict | None:
    values = field.texts or _as_texts(field)
    counts = field.counts if field.texts else texts.count_kinds(values)
    for kind, least in _BY_VALUE.items():
        share = counts[kind] / len(values) if values else 0
        if share < least or (kind in _NEED_MANY and len(values) < _FEW):
            continue
        if _contradicts(field, kind):
            continue
        return FieldVerdict(kind, f"looks like {kind} ({percent(share)} of values)", 0.6 + 0.35 * share)
    return None


def _as_texts(field: Field) -> list[str]:
    """Return the integers of ``field`` that may be numbers of cards or national ids, as texts."""
    numbers = [str(one) for one in field.node.values if isinstance(one, int) and not isinstance(one, bool)]
    long = [number for number in numbers if len(number) >= 9 and (is_card(number) or is_national_id(number))]
    return numbers if numbers and len(long) >= 0.9 * len(numbers) else []


def _contradicts(field: Field, kind: Kind) -> bool:
    words = split_words(field.name)
    if kind is Kind.TOKEN:
        return not set(_NOT_TOKENS).isdisjoint(words) and not hint_within(None, field.name).kind
    if kind is Kind.IP:
        return "version" in words
    if kind is Kind.NATIONAL_ID:
        return not set(_NUMBERED).isdisjoint(words)
    return kind in (Kind.STREET, Kind.URL) and field.surroundings == "things"


def _fits(field: Field, kind: Kind, strength: Strength) -> bool:
    """Whether values of the types of ``field`` can be of ``kind``, and nothing speaks against it."""
    if not field.types:
        return strength is Strength.STRONG
    allowed = _TYPES.get(kind, _CODES if kind in _OF_NUMBERS else frozenset({ValueKind.TEXT}))
    if not field.types & allowed:
        return False
    if kind in _PLACES and field.surroundings == "things":
        return False
    if kind is Kind.LOCATION:
        return _is_location(field)
    if field.types <= {ValueKind.TEXT} and not field.texts:
        return strength is Strength.STRONG
    few = len(set(field.texts)) <= 3 and len(field.texts) >= 20
    # Such as yes and no in `mails`.
    return not (few and kind in _VARIED)


def _is_location(field: Field) -> bool:
    numbers = [value for value in field.node.values if isinstance(value, int | float)]
    if not numbers:
        return bool(field.texts) and not field.is_enumeration
    in_range = all(-180 <= number <= 180 for number in numbers)
    return in_range and any(isinstance(number, float) for number in numbers)


def _by_name(field: Field, kind: Kind, strength: Strength) -> FieldVerdict:
    reason = f"is named like {kind}"
    sure = 0.85 if strength is Strength.STRONG else 0.55
    if kind in _NAMES and field.texts:
        share = field.share(sum(map(looks_like_a_name, field.texts)))
        if share < 0.3:
            if field.surroundings == "people" and not field.is_enumeration:
                return FieldVerdict(Kind.USERNAME, reason, 0.6)
            return FieldVerdict(None, "", 0.5)
        if kind is Kind.FIRST_NAME and field.share(sum(map(has_last_name, field.texts))) > 0.1:
            kind = Kind.FULL_NAME
        return FieldVerdict(kind, f"{reason}; {percent(share)} of values may be names", sure + 0.1 * share)
    if kind is Kind.LOCATION and not field.types & _NUMBERS:
        return FieldVerdict(Kind.CITY, f"is named like {Kind.CITY}", sure)
    if kind is Kind.TEXT:
        return _text_by_name(field, reason, sure)
    links = any(texts.is_link(text) or texts.is_file_name(text) for text in field.texts)
    if kind is Kind.URL and field.texts and not links:
        return _by_contents(field)
    if strength is Strength.WEAK and kind in (Kind.TOKEN, Kind.CITY, Kind.STREET) and field.is_enumeration:
        return FieldVerdict(None, "", 0.5)
    return FieldVerdict(kind, reason, sure)


def _text_by_name(field: Field, reason: str, sure: float) -> FieldVerdict:
    words = split_words(field.name)
    descriptive = any(is_in(word, "descriptive") for word in (*words, "".join(words)))
    mentions = any(map(texts.mentions, field.texts))
    if descriptive and field.surroundings == "things" and not mentions:
        return FieldVerdict(None, "", 0.6)
    if field.is_enumeration and len(field.texts) >= 20 and not any(map(texts.is_prose, field.texts)):
        return FieldVerdict(None, "", 0.6)
    return FieldVerdict(Kind.TEXT, f"{reason}{'; mails or phones in it' if mentions else ''}", sure)


def _ambiguous(field: Field) -> FieldVerdict | None:
    """Judge a ``name``, which may be that of a person or of a thing."""
    if field.types and ValueKind.TEXT not in field.types:
        return None
    known = field.share(field.counts[Kind.FULL_NAME])
    like = field.share(sum(map(looks_like_a_name, field.texts)))
    people, things = field.surroundings == "people", field.surroundings == "things"
    files = field.share(sum(map(texts.is_file_name, field.texts)))
    if files >= 0.5:
        return FieldVerdict(Kind.TEXT, f"looks like names of files ({percent(files)} of values)", 0.7)
    least = 0.6 if things else 0.1 if people else 0.3
    if known >= least and like >= 0.5 and len(field.texts) >= 1 and not (things and field.is_enumeration):
        return FieldVerdict(_which_name(field), _known_names(known), 0.6 + 0.35 * known)
    # Names of people need not be frequent ones.
    several = field.share(sum(looks_like_a_name(text) and len(text.split()) > 1 for text in field.texts))
    repeated = len(set(field.texts)) < len(field.texts)
    if people and several >= 0.8 and not (field.is_enumeration and repeated):
        return FieldVerdict(Kind.FULL_NAME, f"is named like {Kind.FULL_NAME}, among people", 0.6)
    return None


def _known_names(share: float) -> str:
    return f"looks like {Kind.FULL_NAME} ({percent(share)} of values have a frequent one)"


def _which_name(field: Field) -> Kind:
    single = sum(len(text.split()) == 1 for text in field.texts)
    return Kind.FIRST_NAME if single > 0.7 * len(field.texts) else Kind.FULL_NAME


def _by_contents(field: Field) -> FieldVerdict:
    """Judge a field whose name says nothing by what its values look like as a whole."""
    if field.types == {ValueKind.BINARY}:
        return FieldVerdict(Kind.FILE, "is binary", 0.7)
    if field.types == {ValueKind.DATE} and _looks_like_births(field):
        return FieldVerdict(Kind.BIRTH, f"looks like {Kind.BIRTH}: midnights of many years", 0.55)
    counts = field.counts
    known = field.share(counts[Kind.FULL_NAME])
    if known >= 0.5 and not field.is_enumeration and field.surroundings != "things":
        return FieldVerdict(_which_name(field), _known_names(known), 0.4 + 0.4 * known)
    some = [kind for kind in (Kind.EMAIL, Kind.IBAN, Kind.PASSWORD) if counts[kind] > 0]
    some += [Kind.PHONE] if field.share(counts[Kind.PHONE]) > 0.05 else []
    if some:
        share = field.share(counts[some[0]])
        return FieldVerdict(Kind.TEXT, f"some of it looks like {some[0]} ({percent(share)} of values)", 0.6)
    mentions = field.share(sum(map(texts.mentions, field.texts)))
    if mentions:
        return FieldVerdict(
            Kind.TEXT, f"mentions mails or phone numbers ({percent(mentions)} of values)", 0.7
        )
    prose = field.share(sum(map(texts.is_prose, field.texts)))
    if prose >= 0.4 and not field.is_enumeration and field.surroundings != "things":
        return FieldVerdict(
            Kind.TEXT, f"looks like {Kind.TEXT} ({percent(prose)} of values)", 0.4 + 0.3 * prose
        )
    return FieldVerdict(None, "", 0.7)


def _looks_like_births(field: Field) -> bool:
    dates = [value for value in field.node.values if isinstance(value, datetime)]
    if len(dates) < _FEW or field.surroundings != "people":
        return False
    at_midnight = sum(not (date.hour or date.minute or date.second) for date in dates)
    years = {date.year for date in dates}
    old = max(years) <= datetime.now().year - 12
    return at_midnight >= 0.9 * len(dates) and max(years) - min(years) > 15 and old
