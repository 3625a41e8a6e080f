"""The manifest of a backup, which describes it and is written when it is complete.

It is a JSON object in UTF-8 beside the archive, described by ``docs/manifest.schema.json``. It is written
last, so where there is a manifest, there is a backup.

Its last member ``checksum`` is the SHA-256 of the whole text with an empty checksum, so no byte of it can
change unnoticed. A newer monarch may add members: a reader ignores those that it does not know. If it must
not ignore one, ``requires`` names it. ``monarch_backup`` is the number of the format: 1 has no members but
those of `Manifest`, 2 may have more, and a higher one cannot be read here at all.

The manifest of an encrypted backup is not encrypted itself: listing, verifying and deleting need no key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

from monarch.backups.codecs import CODECS
from monarch.databases import KINDS, find_kind
from monarch.databases.transfer import CollectionDigest, CollectionSummary
from monarch.errors import DamagedError

# A manifest with only the members of format 1 says so, and monarch 1.0 can read it.
FORMAT, _NEWEST_FORMAT = 1, 2
_TOO_MANY = 1 << 63
_TIMES = ("taken_at", "finished_at")
_OF_SUBSETS = ("query_options", "query_filters")
# Members of format 2. The recipients are required where they are: a reader that does not know them must not
# read the archive as if it were plain.
_FLAGS, _RECIPIENTS, _DIGESTS = ("private", "masked"), "recipients", "digests"
# What they are where they are missing.
_NEW: dict[str, Any] = {**dict.fromkeys(_FLAGS, False), _RECIPIENTS: (), _DIGESTS: ()}
_END = re.compile(rb'"checksum": "([0-9a-f]{64})"\n\}\n\Z')


class NewerFormat(DamagedError):
    """A manifest that only a newer monarch can read. It shows no damage."""


@dataclass(frozen=True)
class Manifest:
    """One backup. Sizes are in bytes; times in UTC.

    ``kind`` is that of the database, a key of `monarch.databases.KINDS`. ``sha256`` and ``size`` are those of
    the archive in the store. The bytes of ``collections`` are those of their documents before compression.
    With ``one_moment`` all of it was read from one snapshot.

    ``digests`` are hashes of the collections, with which a restored database is compared. Backups of older
    versions of monarch have none.

    ``private`` if the environment was private, ``masked`` if its documents were masked on the way.
    ``recipients`` are the public keys for which the archive is encrypted, none if it is not.

    For a subset of a database, ``query_set`` is the name of the query set, ``query_options`` are its options
    as ``name=value``, without values if it is masked or encrypted, and ``query_filters`` its filters without
    values, none if it is encrypted.
    """

    archive: str
    kind: str
    environment: str
    database: str
    server: str
    engine: str
    versions: tuple[str, ...]
    monarch: str
    query_set: str | None
    query_options: tuple[str, ...]
    query_filters: tuple[str, ...]
    one_moment: bool
    taken_at: datetime
    finished_at: datetime
    codec: str
    level: int
    size: int
    sha256: str
    collections: tuple[CollectionSummary, ...]
    private: bool = False
    masked: bool = False
    recipients: tuple[str, ...] = ()
    digests: tuple[CollectionDigest, ...] = ()

    @property
    def documents(self) -> int:
        """The number of documents or rows in it, without the buckets of time series."""
        return sum(one.documents for one in self.collections if one.kind != "timeseries")

    @property
    def buckets(self) -> int:
        """The number of buckets of time series in it."""
        return sum(one.documents for one in self.collections if one.kind == "timeseries")

    @property
    def empty(self) -> bool:
        """Whether it holds no document or row but monarch's own records."""
        kind = find_kind(self.kind)
        return not any(one.documents for one in self.collections if not kind.is_own(one.name))

    @property
    def plain_bytes(self) -> int:
        """The bytes of all its documents before compression."""
        return sum(one.bytes for one in self.collections)

    def to_bytes(self) -> bytes:
        """Return the text that `from_bytes` reads."""
        new = [name for name, value in _NEW.items() if getattr(self, name) != value]
        requires = {"requires": [_RECIPIENTS]} if self.recipients else {}
        members = {"monarch_backup": _NEWEST_FORMAT if new else FORMAT, **requires, **asdict(self)}
        for name in _TIMES:
            members[name] = members[name].isoformat()
        kept = {*new, *_FLAGS} if new else set()
        for name in (*(_OF_SUBSETS if self.query_set is None else ()), *(_NEW.keys() - kept)):
            del members[name]
        return _text({**members, "checksum": hashlib.sha256(_text({**members, "checksum": ""})).hexdigest()})

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """Read a manifest. Members that are unknown here are ignored, unless the manifest requires them.

        :raises NewerFormat: if it is from a newer monarch and cannot be understood without that.
        :raises DamagedError: if it is not a manifest, or has changed since it was written.
        """
        members = _members(text)
        number = members.get("monarch_backup")
        if type(number) is int and number > _NEWEST_FORMAT:
            raise NewerFormat(f"Its manifest has format {number}, which only a newer monarch can read.")
        _require_intact(text, members)
        try:
            if type(number) is not int or number < FORMAT:
                raise ValueError("no format number")
            required = [one for one in _read_texts(members.get("requires", ())) if one != _RECIPIENTS]
            if not required:
                found = cls(**_values(cls, {**dict.fromkeys(_OF_SUBSETS, ()), **_NEW, **members}))
        except Exception as error:  # something is missing, or has another type
            raise DamagedError("Its manifest is damaged: a member is missing or wrong.") from error
        if required:
            raise NewerFormat(f"Its manifest requires {', '.join(required)}, which only a newer monarch has.")
        if found.kind not in KINDS:
            raise NewerFormat(f"It is of a {found.kind!r} database, which this monarch does not know.")
        if found.codec not in CODECS:
            raise NewerFormat(f"It is compressed with {found.codec!r}, which this monarch does not know.")
        return found


def _members(text: bytes) -> dict[str, Any]:
    try:
        members = json.loads(text.decode())
        if not isinstance(members, dict):
            raise TypeError("not an object")
    except Exception as error:  # wrong encoding, a number too long, brackets too deep, …
        raise DamagedError("Its manifest is damaged: it is not a JSON object.") from error
    return members


def _require_intact(text: bytes, members: Mapping[str, Any]) -> None:
    """Compare the checksum with the bytes of ``text``, not with a new encoding of ``members``."""
    end = _END.search(text)
    if end is None:
        raise DamagedError("Its manifest is damaged: it does not end with its checksum.")
    checksum = end[1].decode()
    without = text[: end.start(1)] + text[end.end(1) :]
    if checksum != members.get("checksum") or hashlib.sha256(without).hexdigest() != checksum:
        raise DamagedError("Its manifest is damaged: its checksum does not match.")


def _values(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the dataclass ``kind`` from ``members``, each checked for its type."""
    return {name: read(members[name]) for name, read in _readers(kind)}


@cache
def _readers(kind: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the fields of the dataclass ``kind``, each with what reads it."""
    return tuple((field.name, _READERS[str(field.type)]) for field in fields(kind))


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _read_texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError("not a list")
    return tuple(map(_read_text, value))


def _read_truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _read_number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _TOO_MANY:  # True is an int too
        raise TypeError("not a count")
    return value


def _read_time(value: Any) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo != UTC:
        raise ValueError("not a time in UTC")
    return found


# By the annotation of the field.
_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": _read_truth,
    "str": _read_text,
    "str | None": lambda value: None if value is None else _read_text(value),
    "int": _read_number,
    "datetime": _read_time,
    "tuple[str, ...]": _read_texts,
    "Mapping[str, str]": lambda value: {_read_text(key): _read_text(text) for key, text in value.items()},
    "tuple[CollectionSummary, ...]": lambda value: tuple(
        CollectionSummary(**_values(CollectionSummary, one)) for one in value
    ),
    "tuple[CollectionDigest, ...]": lambda value: tuple(
        CollectionDigest(**_values(CollectionDigest, one)) for one in value
    ),
}


def _text(members: Mapping[str, Any]) -> bytes:
    # One line for each member and each collection, for people.
    return (json.dumps(members, indent=1, ensure_ascii=False) + "\n").encode()
