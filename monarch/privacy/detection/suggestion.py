"""What detection suggests for a field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PersonalKind(StrEnum):
    """What a field that is personal holds."""

    EMAIL = "mails"
    PHONE = "phone numbers"
    FULL_NAME = "names of people"
    FIRST_NAME = "first names"
    LAST_NAME = "last names"
    USERNAME = "user names"
    COMPANY = "names of companies"
    STREET = "streets or addresses"
    CITY = "places"
    POSTCODE = "postcodes"
    BIRTH = "dates of birth"
    AGE = "ages"
    GENDER = "genders"
    MONEY = "incomes"
    NATIONAL_ID = "national ids"
    IBAN = "bank accounts"
    CARD = "numbers of cards"
    IP = "IP addresses"
    MAC = "MAC addresses"
    DEVICE = "devices"
    URL = "links to people"
    LOCATION = "coordinates"
    PASSWORD = "passwords"  # noqa: S105 - a word
    TOKEN = "tokens or keys"  # noqa: S105 - a word
    SENSITIVE = "what the law protects most"
    TEXT = "free text"
    FILE = "contents of files"


@dataclass(frozen=True)
class Suggestion:
    """What detection suggests for the field at ``path``, and why.

    ``types`` are the types of its values with their counts, the most frequent first. ``seen`` of the
    ``read`` documents have it. ``rule`` is Python, as ``migrations/privacy.py`` has it. ``reason`` holds no
    value. ``confidence`` is between 0 and 1.
    """

    path: str
    types: tuple[tuple[str, int], ...]
    seen: int
    read: int
    rule: str
    reason: str
    confidence: float
    kind: PersonalKind | None = None

    @property
    def is_personal(self) -> bool:
        """Whether it is taken for personal."""
        return self.kind is not None


@dataclass(frozen=True)
class CollectionSuggestions:
    """The suggestions for the fields of one collection, sorted by path.

    ``documents`` is how many it has, as the server estimates them, ``read`` how many of them were read.
    ``unwritable`` is how many fields have names that no path of a rule can have.
    """

    name: str
    documents: int
    read: int
    fields: tuple[Suggestion, ...]
    unwritable: int = 0
