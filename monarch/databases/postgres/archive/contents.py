"""Read the head of an archive of pg_dump, and its table of contents."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from monarch.databases.postgres.archive.names import parse_copy_columns
from monarch.errors import DamagedError, UsageError
from monarch.system.streams import Stream

_MAGIC = b"PGDMP"
_CUSTOM = 1
_OLDEST, _NEWEST = (1, 12), (1, 16)
# The bytes of all entries. A table takes about 2 kB in them.
_MOST_BYTES = 512 << 20
_CHUNK = 64 << 10
_ENCODING = re.compile(r"SET client_encoding = '([A-Za-z0-9_]+)';")
# PostgreSQL's manual, "Character Set Support".
_NUMBERED = re.compile(r"LATIN(?:10|[1-9])|WIN(?:866|874|125[0-8])|ISO_8859_[5-8]")
_CODECS = {
    **{name: name for name in ("BIG5", "EUC_JP", "EUC_KR", "GB18030", "GBK", "JOHAB", "SJIS")},
    "EUC_CN": "gb2312",
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
    "UHC": "cp949",
}
# Since these versions of the format an entry has these fields, and the head has a byte for the compression.
_TABLE_METHOD, _COMPRESSION_BYTE, _RELATION_KIND = (1, 14), (1, 15), (1, 16)
_HAS_NO_DATA = 3
_NAME = r'("(?:[^"]|"")+"|[^\s;,"]+)'
_GRANTEE = re.compile(rf"\sTO {_NAME}")
_COLLATION = re.compile(rf"COLLATE pg_catalog\.{_NAME}")


@dataclass(frozen=True)
class TableData:
    """Where the rows of a table are in an archive: the block ``dump_id``, with these ``columns`` in order.

    ``oid`` is the number of the table in the database that was dumped.
    """

    dump_id: int
    oid: int
    schema: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Mentioned:
    """What an archive mentions that a server must have: its own collations, tablespaces and more, by name.

    ``owners`` are the roles to which things belong, ``grantees`` those that have rights on them, ``granters``
    those that have default privileges.
    """

    extensions: tuple[str, ...]
    owners: tuple[str, ...]
    grantees: tuple[str, ...]
    collations: tuple[str, ...]
    tablespaces: tuple[str, ...]
    granters: tuple[str, ...]
    event_triggers: tuple[str, ...]


@dataclass(frozen=True)
class ArchiveContents:
    """The head of an archive and its table of contents.

    ``raw`` are their bytes. Integers have ``integer_size`` bytes; texts, rows included, have the
    ``encoding``. With ``attaches_indexes`` there are indexes of partitions that are made parts of others.
    ``tables`` are in the order in which pg_restore reads their blocks from a pipe. With
    ``has_other_data`` there are blocks of something else, such as large objects. ``server`` and ``program``
    are the major versions of the server that was dumped and of the pg_dump; 0 if they are not known.
    """

    raw: bytes
    version: tuple[int, int]
    integer_size: int
    encoding: str
    tables: tuple[TableData, ...]
    has_other_data: bool
    server: int
    program: int
    mentioned: Mentioned
    attaches_indexes: bool


def read_contents(stream: Stream) -> ArchiveContents:
    """Read the head and the table of contents from ``stream``, and nothing after them.

    :raises DamagedError: if it does not begin as an archive of pg_dump in the custom format.
    :raises UsageError: if it is one that monarch does not know, or a compressed one.
    """
    return _Reader(stream).contents()


class _Reader:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._raw = bytearray()
        self._version = _OLDEST
        self._integer_size = 4
        self._offset_size = 8
        self._encoding = "UTF8"
        self._server = self._program = 0
        self._attaches_indexes = False
        self._mentioned: dict[str, set[str]] = {field.name: set() for field in fields(Mentioned)}

    def contents(self) -> ArchiveContents:
        self._read_head()
        tables: list[TableData] = []
        others = False
        for _ in range(self._count()):
            table, has_data = self._entry()
            if table is not None:
                tables.append(table)
            elif has_data:
                others = True
        mentioned = {name: tuple(sorted(found)) for name, found in self._mentioned.items()}
        return ArchiveContents(
            bytes(self._raw),
            self._version,
            self._integer_size,
            self._encoding,
            tuple(tables),
            others,
            self._server,
            self._program,
            Mentioned(**mentioned),
            self._attaches_indexes,
        )

    def _read_head(self) -> None:
        if self._bytes(len(_MAGIC)) != _MAGIC:
            raise DamagedError("It is no archive of pg_dump in the custom format.")
        major, minor, _revision, self._integer_size, self._offset_size, form = self._bytes(6)
        self._version = (major, minor)
        if self._version > _NEWEST or self._version < _OLDEST:
            raise UsageError(
                f"The archive has version {major}.{minor} of pg_dump's format, and monarch reads "
                f"{_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST[0]}.{_NEWEST[1]}.",
                "Use a pg_dump of PostgreSQL 13 to 18.",
            )
        if not 4 <= self._integer_size <= 8 or not 1 <= self._offset_size <= 16 or form != _CUSTOM:
            raise DamagedError("It is no archive of pg_dump in the custom format.")
        compression = self._bytes(1)[0] if self._version >= _COMPRESSION_BYTE else self._integer()
        if compression != 0:
            raise UsageError("The archive of pg_dump is compressed.", "Run pg_dump with -Fc -Z0.")
        for _ in range(7):  # when it was made
            self._integer()
        self._text()  # the database
        self._server, self._program = _major(self._text()), _major(self._text())

    def _count(self) -> int:
        count = self._integer()
        if count < 0:
            raise _damaged("its number of entries is negative")
        return count

    def _entry(self) -> tuple[TableData | None, bool]:
        """Read one entry: the table whose rows it has, and whether it has data at all."""
        dump_id = self._integer()
        self._integer()  # whether it has data, which is repeated below
        self._text()  # the catalog in which it is
        oid = self._text() or ""
        tag, description = self._text() or "", self._text() or ""
        self._integer()  # its section
        definition, _drop, copy = self._text() or "", self._text(), self._text()
        schema = self._text() or ""
        tablespace = self._text()
        if self._version >= _TABLE_METHOD:
            self._text()
        if self._version >= _RELATION_KIND:
            self._integer()
        owner = self._text()
        self._text()  # whether the table has oids
        while self._text() is not None:  # what it depends on
            pass
        has_data = self._bytes(1 + self._offset_size)[0] != _HAS_NO_DATA
        self._attaches_indexes |= description == "INDEX ATTACH"
        self._mention(description, tag, definition, owner, tablespace)
        if description == "ENCODING" and (found := _ENCODING.match(definition)):
            self._encoding = found[1]
        if description != "TABLE DATA" or not has_data:
            return None, has_data
        columns = parse_copy_columns(copy or "")
        if columns is None or not schema or not oid.isdecimal():
            raise _damaged(f"the entry {dump_id} has no COPY statement")
        return TableData(dump_id, int(oid), schema, tag, columns), True

    def _mention(
        self, description: str, tag: str, definition: str, owner: str | None, tablespace: str | None
    ) -> None:
        found = self._mentioned
        if description == "EXTENSION":
            found["extensions"].add(tag)
        elif description == "DEFAULT ACL" and owner:
            found["granters"].add(owner)
        elif owner and not (description == "SCHEMA" and tag == "public"):
            found["owners"].add(owner)
        if description == "EVENT TRIGGER":
            found["event_triggers"].add(tag)
        if tablespace:
            found["tablespaces"].add(tablespace)
        if description in ("ACL", "DEFAULT ACL", "POLICY"):
            found["grantees"].update(_unquoted(name) for name in _GRANTEE.findall(definition))
            found["grantees"].discard("PUBLIC")
        found["collations"].update(_unquoted(name) for name in _COLLATION.findall(definition))

    def _integer(self) -> int:
        read = self._bytes(1 + self._integer_size)
        if read[0] > 1:
            raise _damaged("a number in it has no sign")
        value = int.from_bytes(read[1:], "little")
        return -value if read[0] else value

    def _text(self) -> str | None:
        length = self._integer()
        if length < 0:
            return None
        read = self._bytes(length)
        # Only names are looked at. In another encoding they are compared as what they are: bytes.
        return read.decode(_codec(self._encoding), "surrogateescape")

    def _bytes(self, size: int) -> bytes:
        if len(self._raw) + size > _MOST_BYTES:
            raise _damaged(f"its table of contents has more than {_MOST_BYTES >> 20} MB")
        begin = len(self._raw)
        while (missing := begin + size - len(self._raw)) > 0:
            read = self._stream.read(min(missing, _CHUNK))
            if not read:
                raise _damaged("it ends within its table of contents")
            self._raw += read
        return bytes(self._raw[begin:])


def _major(version: str | None) -> int:
    """Return the major version at the beginning of ``version``; 0 if there is none."""
    number = re.match(r"\d{1,6}", version or "")
    return int(number[0]) if number else 0


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _codec(encoding: str) -> str:
    """Return Python's name for the ``encoding`` of PostgreSQL; UTF-8 for one that Python does not know."""
    if encoding in _CODECS:
        return _CODECS[encoding]
    return encoding.replace("WIN", "cp") if _NUMBERED.fullmatch(encoding) else "utf-8"


def _damaged(what: str) -> DamagedError:
    return DamagedError(f"The archive of pg_dump is damaged: {what}.")
