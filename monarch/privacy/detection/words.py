"""What the name of a field says: its words, and the kind of personal data that they stand for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from monarch.privacy.detection import vocabulary
from monarch.privacy.detection.suggestion import PersonalKind

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "ı": "i", "ø": "o", "æ": "ae", "đ": "d"})
# A join of more words is in no vocabulary.
_MOST_WORDS = 5


class Strength(IntEnum):
    """How surely a name says something."""

    NONE = 0
    WEAK = 1
    STRONG = 2


@dataclass(frozen=True)
class NameHint:
    """What the name of a field says. ``ambiguous`` if it names a person or a thing."""

    kind: PersonalKind | None
    strength: Strength
    ambiguous: bool = False


NO_HINT = NameHint(None, Strength.NONE)


@cache
def split_words(name: str) -> tuple[str, ...]:
    """Return the words of ``name`` in lower case; it may be in camelCase, snake_case or kebab-case."""
    if name.isupper():
        name = name.lower()
    return tuple(part.lower() for part in _PARTS.findall(unicodedata.normalize("NFC", name)))


@cache
def fold(word: str) -> frozenset[str]:
    """Return how ``word`` is spelled without accents: ``größe`` as groesse and grosse."""
    spelled = (word.translate(_GERMAN), word.translate(_LETTERS))
    return frozenset(
        "".join(
            c for c in unicodedata.normalize("NFKD", one.translate(_LETTERS)) if not unicodedata.combining(c)
        )
        for one in spelled
    )


def _table(text: str) -> frozenset[str]:
    phrases = (phrase.replace("'", "") for phrase in "".join(text.split()).split(","))
    return frozenset(spelled for phrase in phrases for spelled in fold(phrase.lower()))


@cache
def _kinds() -> dict[str, PersonalKind]:
    return {word: kind for kind, text in vocabulary.NAMES.items() for word in _table(text)}


_TABLES = {
    "ambiguous": vocabulary.AMBIGUOUS,
    "neutral": vocabulary.NEUTRAL,
    "descriptive": vocabulary.DESCRIPTIVE,
    "disqualifying": vocabulary.DISQUALIFYING,
    "people": vocabulary.ABOUT_PEOPLE,
    "things": vocabulary.ABOUT_THINGS,
}


@cache
def _words(table: str) -> frozenset[str]:
    return _table(_TABLES[table])


def is_in(word: str, table: str) -> bool:
    """Whether ``word``, or its singular, is one of the words of the ``table`` of the vocabulary."""
    return any(form in _words(table) for form in _forms(word))


@cache
def _forms(word: str) -> tuple[str, ...]:
    """Return ``word`` without accents, and what may be its singular."""
    found: dict[str, None] = {}
    for spelled in sorted(fold(word)):
        found[spelled] = None
        if len(spelled) > 3:
            for ending, instead in (("ies", "y"), ("es", ""), ("s", ""), ("en", ""), ("n", "")):
                if spelled.endswith(ending):
                    found[spelled[: -len(ending)] + instead] = None
    return tuple(found)


@cache
def hint_of(name: str) -> NameHint:
    """Return what ``name`` says of the values of a field."""
    words = split_words(name)
    best = NO_HINT
    for size in range(min(len(words), _MOST_WORDS), 0, -1):
        # In English and German the last word says what it is.
        for start in range(len(words) - size, -1, -1):
            found = _look_up("".join(words[start : start + size]))
            if found is None:
                continue
            rest = (*words[:start], *words[start + size :])
            hint = _weigh(found, rest)
            if hint.strength > best.strength or (best is NO_HINT and hint.ambiguous):
                best = hint
        if best.strength is Strength.STRONG:
            break
    return best


def hint_within(parent: str | None, name: str) -> NameHint:
    """Return what ``name`` says in a field called ``parent``, such as ``address`` in ``emails``."""
    words = split_words(parent or "")
    own = "".join(split_words(name))
    for outer in _forms(words[-1]) if words else ():
        found = _look_up(outer + own)
        if isinstance(found, PersonalKind):
            return NameHint(found, Strength.STRONG)
    return hint_of(name)


def _look_up(joined: str) -> PersonalKind | str | None:
    for form in _forms(joined):
        if form in _kinds():
            return _kinds()[form]
        if form in _words("ambiguous"):
            return "ambiguous"
    return None


def _weigh(found: PersonalKind | str, rest: tuple[str, ...]) -> NameHint:
    if any(is_in(word, "disqualifying") for word in rest):
        return NO_HINT
    kind = found if isinstance(found, PersonalKind) else None
    if all(word.isdigit() or is_in(word, "neutral") for word in rest):
        if kind is None and any(is_in(word, "people") for word in rest):
            return NameHint(PersonalKind.FULL_NAME, Strength.STRONG)
        return NameHint(kind, Strength.STRONG if kind else Strength.WEAK, ambiguous=kind is None)
    return NameHint(kind, Strength.WEAK, ambiguous=kind is None)


def about(names: tuple[str, ...], collection: str) -> str | None:
    """Return what the innermost of the fields ``names``, or else the collection, is about.

    :return: ``people`` or ``things``; None if no name says it.
    """
    for name in (*reversed(names), collection):
        words = split_words(name)
        for word in reversed(words):
            for table in ("people", "things"):
                if is_in(word, table):
                    return table
        if "".join(words) and is_in("".join(words), "people"):
            return "people"
    return None
