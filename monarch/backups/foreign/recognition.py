"""Which files of a store are foreign archives.

Names alone tell some of them. Of the rest, those that may be one are looked at: one small read each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monarch.backups.foreign.packing import HEAD, names_in, unpack_head
from monarch.backups.names import LEGACY, split_archive_name
from monarch.databases import foreign_formats
from monarch.stores.base import Store

_PACKED = ("", ".gz", ".zst")
# A file of any of these, or without an ending, may be an archive.
_PERHAPS = (".gz", ".gzip", ".tgz", ".tar", ".zst", ".zip", ".dump", ".dmp", ".bak", ".backup", ".bin")


def kind_of_name(name: str) -> str | None:
    """Return the kind of database whose tools alone write files of this name."""
    if name.startswith("."):
        return None
    for kind, formats in foreign_formats().items():
        for packing in _PACKED:
            ending = tuple(suffix + packing for suffix in formats.suffixes)
            if name.lower().endswith(ending):
                return kind
    return None


def may_be_foreign(name: str) -> bool:
    """Whether a file of this name has to be looked at."""
    if name.startswith("."):
        return False
    return name.lower().endswith(_PERHAPS) or "." not in name


def find_foreign(store: Store, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield those of ``names`` that are foreign archives, each with the kind of their database.

    Names of monarch's archives may be among them if they have no manifest. Zips of monarch 0.1 never had one.
    """
    unknown = []
    for name in names:
        parted = split_archive_name(name)
        kind = kind_of_name(name) if parted is None else None
        if kind is not None:
            yield name, kind
        elif parted[1] != LEGACY if parted else may_be_foreign(name):
            unknown.append(name)
    for file in store.read_small(unknown, HEAD):
        kind = _kind_of_head(file.text[:HEAD]) if isinstance(file.text, bytes) else None
        if kind is not None:
            yield file.name, kind


def _kind_of_head(head: bytes) -> str | None:
    plain = unpack_head(head)
    names = names_in(head, plain)
    for kind, formats in foreign_formats().items():
        if formats.recognizes(plain) or formats.has_written(names):
            return kind
    return None


def describe(kind: str) -> str:
    """Return what a foreign archive of that ``kind`` is, for people."""
    return f"made by {foreign_formats()[kind].tool}, not by monarch, and without a manifest"
