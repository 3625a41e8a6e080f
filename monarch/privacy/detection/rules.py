"""The rule for a kind of personal data, as Python."""

from __future__ import annotations

from collections.abc import Set

from monarch.privacy.detection.suggestion import PersonalKind as Kind
from monarch.privacy.rules import ValueKind

KEEP, NULL, REMOVE, IDENTIFIER = "keep", "null", "remove", "identifier()"

_TEXT = frozenset({ValueKind.TEXT})
_NUMBERS = frozenset({ValueKind.INTEGER, ValueKind.FLOAT, ValueKind.DECIMAL})
_CODES = _TEXT | {ValueKind.INTEGER}
# The masks of each kind with the types that they take; the first that takes all types of a field is its rule.
_RULES: dict[Kind, tuple[tuple[str, frozenset[str]], ...]] = {
    Kind.EMAIL: (("email()", _TEXT),),
    Kind.PHONE: (("phone()", _CODES),),
    Kind.FULL_NAME: (("full_name()", _TEXT),),
    Kind.FIRST_NAME: (("first_name()", _TEXT),),
    Kind.LAST_NAME: (("last_name()", _TEXT),),
    Kind.USERNAME: (("username()", _TEXT),),
    Kind.COMPANY: (("company()", _TEXT),),
    Kind.STREET: (("street()", _TEXT),),
    Kind.CITY: (("city()", _TEXT),),
    Kind.POSTCODE: (("postcode()", _CODES),),
    Kind.BIRTH: (
        ("shift_date(days=30)", _TEXT | {ValueKind.DATE}),
        ("number(noise=0.005)", frozenset({ValueKind.INTEGER})),
    ),
    Kind.AGE: (("number(noise=0.1)", _NUMBERS), ("text()", _TEXT)),
    Kind.MONEY: (("number(noise=0.1)", _NUMBERS), ("text()", _TEXT)),
    Kind.NATIONAL_ID: (("national_id()", _CODES),),
    Kind.IBAN: (("iban()", _TEXT),),
    Kind.CARD: (("card()", _TEXT),),
    Kind.IP: (("ip()", _TEXT),),
    Kind.MAC: (("mac()", _TEXT),),
    Kind.DEVICE: (("text()", _TEXT),),
    Kind.URL: (("url()", _TEXT),),
    Kind.LOCATION: (
        ("location(km=10)", frozenset({ValueKind.FLOAT, ValueKind.INTEGER})),
        ("text()", _TEXT),
    ),
    Kind.TEXT: (("text()", _TEXT),),
    Kind.FILE: (("blank()", frozenset({ValueKind.BINARY})),),
}
# Some hold them as doubles.
_NUMBERED = (Kind.PHONE, Kind.POSTCODE, Kind.NATIONAL_ID, Kind.IBAN, Kind.CARD)
_HAVE_UNIQUE = ("email()", "ip()", "phone()", "username()")
# They are permutations, whether an index demands that or not.
_ALWAYS_UNIQUE = (IDENTIFIER, "national_id()", "iban()", "card()", "shift_date(days=30)")
_IDENTIFIED = _CODES | {
    ValueKind.FLOAT,
    ValueKind.DECIMAL,
    ValueKind.OBJECT_ID,
    ValueKind.UUID,
    ValueKind.BINARY,
}


def rule_for(kind: Kind, types: Set[str], *, unique: bool) -> str:
    """Return the rule for values of ``kind``, which are of ``types``; ``unique`` if an index demands that.

    Without a mask for them it is `null`, as for passwords and tokens, which nobody needs in a copy.
    """
    masks = _RULES.get(kind, ())
    rule = next((mask for mask, taken in masks if types <= taken), None)
    if unique:
        return _unique_rule(rule, types)
    if rule is None and kind in _NUMBERED and types <= _IDENTIFIED:
        return IDENTIFIER
    return rule or NULL


def _unique_rule(rule: str | None, types: Set[str]) -> str:
    if rule is not None and (rule in _HAVE_UNIQUE or rule in _ALWAYS_UNIQUE):
        return make_unique(rule)
    return IDENTIFIER if types <= _IDENTIFIED else KEEP


def make_unique(rule: str) -> str:
    """Return ``rule`` so that different values stay different; itself if it has no such variant."""
    return rule.replace("()", "(unique=True)") if rule in _HAVE_UNIQUE else rule
