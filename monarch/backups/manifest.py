"""What is written down of a backup, once it is complete: its manifest.

A JSON text in UTF-8 beside the archive. Written last, so where there is one, there is a backup. Its last
member ``checksum`` is the SHA-256 of the whole text as it is with an empty one, so that no byte of it can
change unseen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from monarch.databases.base import CollectionSummary
from monarch.errors import DamagedError

FORMAT = 1
_TOO_MANY = 1 << 63
_TIMES = ("taken_at", "finished_at")
_OF_PARTS = ("query_options", "query_filters")


class NewerFormat(DamagedError):
    """A manifest that a newer monarch has written, and this one cannot judge."""


@dataclass(frozen=True)
class Manifest:
    """What one backup is. Sizes are in bytes; times in UTC.

    ``kind`` is that of the database, by which `monarch.databases` finds who can read the archive. ``sha256``
    and ``size`` are of the archive as it lies in the store. ``collections`` have the bytes of their
    documents as they were before compression. With ``one_moment`` all of it is as it was at one moment.

    Of a part of a database, ``query_set`` is the name of what has chosen it, ``query_options`` are its
    options as ``name=value``, and ``query_filters`` what it has chosen by, without values.
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

    @property
    def documents(self) -> int:
        """How many documents are in it; buckets of time series are none."""
        return sum(held.documents for held in self.collections if held.kind == "collection")

    @property
    def plain_bytes(self) -> int:
        """How many bytes all its documents have."""
        return sum(held.bytes for held in self.collections)

    def to_bytes(self) -> bytes:
        """The text that `from_bytes` reads."""
        members = {"monarch_backup": FORMAT, **asdict(self)}
        for name in _TIMES:
            members[name] = members[name].isoformat()
        for name in _OF_PARTS if self.query_set is None else ():
            del members[name]
        return _text({**members, "checksum": hashlib.sha256(_text({**members, "checksum": ""})).hexdigest()})

    @classmethod
    def from_bytes(cls, text: bytes) -> Manifest:
        """The manifest that ``text`` is.

        :raises DamagedError: if it is none, or not as it was written.
        """
        try:
            members = json.loads(text.decode())
            if not isinstance(members, dict):
                raise TypeError("no object")
        except Exception as error:  # of text that is no text, of numbers too long, of brackets too deep
            raise DamagedError("Its manifest is damaged: it is no JSON.") from error
        if isinstance(number := members.get("monarch_backup"), int) and number > FORMAT:
            raise NewerFormat(f"Its manifest is of format {number}, which a newer monarch has written.")
        try:
            found = cls(**_values(cls, dict.fromkeys(_OF_PARTS, ()) | members))
            intact = found.to_bytes() == text
        except Exception as error:  # whatever is missing, or is another thing than it should be
            raise DamagedError("Its manifest is damaged: it does not say what it should.") from error
        if not intact:
            raise DamagedError("Its manifest is damaged: its checksum does not match.")
        return found


def _values(kind: type, members: Mapping[str, Any]) -> dict[str, Any]:
    """What ``members`` say of each field of ``kind``, as what it should be."""
    return {field.name: _READERS[str(field.type)](members[field.name]) for field in fields(kind)}


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _read_truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _read_number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _TOO_MANY:  # True is an int too
        raise TypeError("no number of anything")
    return value


def _read_time(value: Any) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo != UTC:
        raise ValueError("no time in UTC")
    return found


# By what the fields are said to be.
_READERS: dict[str, Callable[[Any], Any]] = {
    "bool": _read_truth,
    "str": _read_text,
    "str | None": lambda value: None if value is None else _read_text(value),
    "int": _read_number,
    "datetime": _read_time,
    "tuple[str, ...]": lambda value: tuple(map(_read_text, value)),
    "tuple[CollectionSummary, ...]": lambda value: tuple(
        CollectionSummary(**_values(CollectionSummary, held)) for held in value
    ),
}


def _text(members: Mapping[str, Any]) -> bytes:
    # A line a member and a collection, for people; anything else in it would be another text.
    return (json.dumps(members, indent=1, ensure_ascii=False) + "\n").encode()
