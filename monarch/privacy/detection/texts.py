"""What a text looks like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from math import log2
from urllib.parse import unquote

from monarch.privacy.detection.checks import is_card, is_iban, is_national_id
from monarch.privacy.detection.people import is_first_name, is_known_name, is_last_name
from monarch.privacy.detection.suggestion import PersonalKind as Kind

_MAIL = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+\.[^\W\d_]{2,}")
_MAIL_ALONE = re.compile(rf"(?:mailto:|[^@<>]{{0,80}}<)?{_MAIL.pattern}>?")
_PHONE = re.compile(
    r"(?:\+[1-9]|00[1-9]\d{0,2}[\s/.\-])[\d\s().\-/]{6,20}\d(?:\s?(?:x|ext\.?)\s?\d+)?|\(?0?\d{2,5}\)?[\s/.\-]\d{3,4}[\s.\-]\d{3,5}"
)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{4}")
_IP = re.compile(r"[\d.]{7,15}|[\da-fA-F:.]{3,45}")
_MAC = re.compile(r"[\da-fA-F]{2}([:-])(?:[\da-fA-F]{2}\1){4}[\da-fA-F]{2}")
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*")
_PASSWORD = re.compile(
    r"\$(?:2[abxy]?|argon2(?:id?|d)|scrypt|pbkdf2[\w-]*|5|6|1|y|apr1)\$.{8,}|pbkdf2_sha\d+\$.+|\{(?:S?SHA|S?MD5|CRYPT)\d*\}.+"
)
_KEY = re.compile(
    r"(?:[sprw]k_(?:live|test)_|gh[pousr]_|github_pat_|xox[abeprs]-|A[KS]IA[A-Z\d]{12}|AIza|SG\.|glpat-|ya29\.|npm_|pypi-"
    r"|whsec_|EAAC|dop_v1_|hf_|sq0|key-)[\w.\-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*|Bearer .+|otpauth://.+"
)
_RANDOM = re.compile(r"[\w+/.\-]{32,}={0,2}")
_UUID = re.compile(r"[\da-fA-F]{8}(?:-[\da-fA-F]{4}){3}-[\da-fA-F]{12}")
_URL = re.compile(r"(?:https?|ftp|file|s3|data)://?\S+|www\.\S+", re.IGNORECASE)
_PLACE = re.compile(rf"{_URL.pattern}|/[^\s/]+/\S+", re.IGNORECASE)
_OF_PEOPLE = re.compile(
    r"@|%40|/(?:u|user|users|profiles?|people|members?|in|avatars?|account)/|[?&](?:token|key|user|email|sig\w*|uid)=",
    re.IGNORECASE,
)
_STREET = re.compile(
    r"(?i:(?:\d+[a-z]?,?\s+.*\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|blvd|boulevard|way|place|pl|square"
    r"|terrace|parkway|highway|circle|trail|row)\b.*)"
    r"|(?:.*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer|ring|straat|laan|gracht|plein)\s+\d+.*)"
    r"|(?:\d*\s*(?:,\s*)?(?:rue|avenue|boulevard|place|impasse|chemin|calle|avenida|plaza|rua|travessa|praça|via|viale|piazza"
    r"|corso|ul\.|ulica|ул\.|улица)\s+.*\d*.*)|(?:.*\b(?:sokak|caddesi|sk\.|cad\.)\s*.*\d.*)|.*[区町]\d.*|.*[路街]\d+[号號].*)"
)
_AGENT = re.compile(r"(?:Mozilla|Opera|curl|okhttp|Dalvik|PostmanRuntime)/\d.*")


def _is_ip(text: str) -> bool:
    if not _IP.fullmatch(text) or (":" not in text and text.count(".") != 3):
        return False
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False


def _is_phone(text: str) -> bool:
    if not _PHONE.fullmatch(text) or _ISO_DATE.fullmatch(text):
        return False
    return 7 <= sum(letter.isdigit() for letter in text) <= 20


def _has_name(link: str) -> bool:
    """Whether there is a name of a person in ``link``, such as that of a file."""
    pairs = re.findall(r"([A-ZÀ-Þ][^\W\d_]+)[ _+-]([A-ZÀ-Þ][^\W\d_]+)", unquote(link))
    return any(is_first_name(first) or is_last_name(last) for first, last in pairs)


def entropy(text: str) -> float:
    """Return the bits of a letter of ``text``, by how often each comes in it."""
    return -sum(n / len(text) * log2(n / len(text)) for n in Counter(text).values())


def _is_random(text: str) -> bool:
    if (
        not _RANDOM.fullmatch(text)
        or text.startswith("/")
        or _UUID.fullmatch(text)
        or not any(map(str.isdigit, text))
    ):
        return False
    return entropy(text) > (3.0 if re.fullmatch(r"[\da-fA-F]+", text) else 4.0)


# The first that fits is what a text is.
_TESTS: tuple[tuple[Kind, Callable[[str], object]], ...] = (
    (Kind.EMAIL, _MAIL_ALONE.fullmatch),
    (Kind.PASSWORD, _PASSWORD.fullmatch),
    (Kind.TOKEN, lambda text: _JWT.fullmatch(text) or _KEY.fullmatch(text)),
    (Kind.IBAN, is_iban),
    (Kind.CARD, is_card),
    (Kind.IP, _is_ip),
    (Kind.MAC, _MAC.fullmatch),
    (Kind.NATIONAL_ID, is_national_id),
    (Kind.PHONE, _is_phone),
    (Kind.DEVICE, _AGENT.fullmatch),
    (Kind.URL, lambda text: _PLACE.fullmatch(text) and (_OF_PEOPLE.search(text) or _has_name(text))),
    (Kind.STREET, _STREET.fullmatch),
    (Kind.FULL_NAME, is_known_name),
    (Kind.TOKEN, _is_random),
)


@lru_cache(50_000)
def kind_of_text(text: str) -> Kind | None:
    """Return what ``text`` looks like; None if it may be anything."""
    text = text.strip()
    return next((kind for kind, test in _TESTS if test(text)), None) if len(text) <= 4000 else None


def count_kinds(texts: Sequence[str]) -> Counter[Kind]:
    """Return how many of ``texts`` look like what."""
    return Counter(kind for kind in map(kind_of_text, texts) if kind is not None)


def is_iso_date(text: str) -> bool:
    """Whether ``text`` begins with a date as ISO 8601 writes it."""
    return re.match(r"\d{4}-\d{2}-\d{2}(?!\d)", text) is not None


def is_file_name(text: str) -> bool:
    """Whether ``text`` is the name of a file, with an ending."""
    return re.fullmatch(r"[^/\n]{1,200}\.[a-zA-Z][a-zA-Z0-9]{1,4}", text.strip()) is not None and not is_link(
        text
    )


def is_link(text: str) -> bool:
    """Whether ``text`` is a URL."""
    return _URL.fullmatch(text.strip()) is not None


def is_prose(text: str) -> bool:
    """Whether ``text`` is a few words or more that somebody may have written."""
    if is_link(text):
        return False
    if len(text) >= 12 and sum("\u3040" <= letter <= "\u9fff" for letter in text) > len(text) / 2:
        return True
    words = re.findall(r"[^\W\d_]{2,}", text)
    return len(words) >= 5 and len(text) >= 25


def mentions(text: str) -> bool:
    """Whether there is a mail or an international phone number inside ``text``."""
    return bool(_MAIL.search(text) or re.search(r"\+\d[\d\s().\-]{8,}\d", text))
