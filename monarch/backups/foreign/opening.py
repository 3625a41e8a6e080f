"""Opening a foreign archive, to verify or to restore it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from monarch.backups.codecs import CODECS
from monarch.backups.foreign.packing import Whole, is_tar, names_in, packing_of, read_head
from monarch.backups.zip_v01 import ZippedFolders
from monarch.databases import KINDS, find_kind
from monarch.databases.foreign import ForeignFile, ForeignSource
from monarch.databases.transfer import FileSet
from monarch.errors import MonarchError
from monarch.stores.base import Store
from monarch.system.streams import Stream

_GZIPPED = ".gz"
# Files of a folder that are looked at, if none has a name that a tool of the kind gives.
_LOOKED_AT = 50
# By which factor documents are usually compressed.
_RATIO = 3


class Uncheckable(MonarchError):
    """A foreign archive in a format that monarch does not read. This shows no damage."""


class PackedFolder(Uncheckable):
    """A tar, which has to be unpacked first."""


@contextmanager
def open_foreign(store: Store, name: str, size: int, kind: str) -> Iterator[ForeignSource]:
    """Open the foreign archive ``name`` of ``size`` bytes, which the tools of ``kind`` wrote.

    :raises DamagedError: now or while it is read, if it is damaged or something else.
    :raises Uncheckable: if monarch does not read its format.
    """
    with store.open(name) as stream:
        head = read_head(stream)
        packing = packing_of(head)
        if packing != "zip":
            unpacked = size * _RATIO if packing else size
            yield open_unpacked(ForeignFile(name, packing, unpacked), Whole(head, stream), kind)
            return
    yield open_folders(ZippedFolders(store, name, size).folders, name, kind)


def open_folders(folders: Mapping[str, FileSet], name: str, kind: str) -> ForeignSource:
    """Return what is in the ``folders`` of the zip ``name``, which the tools of ``kind`` wrote.

    :raises DamagedError: now or while it is read, if it is damaged or something else.
    """
    formats = find_kind(kind).foreign_formats()
    assert formats is not None
    unpacked = {path: UnpackedFiles(files) for path, files in folders.items()}
    members = tuple(f"{path}/{file}".lstrip("/") for path, files in folders.items() for file in files.sizes())
    if not formats.has_written(members):
        _refuse_files_of_others(unpacked, name)
    return formats.open_folders(unpacked, ForeignFile(name, "zip", members=members))


def open_unpacked(file: ForeignFile, stream: Stream, kind: str) -> ForeignSource:
    """Return what is in ``stream``, the bytes of ``file``, which the tools of ``kind`` wrote.

    :raises DamagedError: now or while it is read, if it is damaged or something else.
    :raises Uncheckable: if monarch does not read its format.
    """
    formats = find_kind(kind).foreign_formats()
    assert formats is not None
    codec = CODECS.get(file.packing)
    if codec is not None:
        stream = codec.decompress(stream)
    head = read_head(stream)
    _refuse_others(head, file.name)
    if is_tar(head):
        tar = ForeignFile(file.name, "tar", members=tuple(names_in(head, head)))
        hint = formats.how_to_check(tar)
        raise PackedFolder(f"monarch does not read a tar, so it cannot check {file.name!r}.", hint)
    return formats.open_stream(Whole(head, stream), head, file)


def _refuse_files_of_others(folders: Mapping[str, FileSet], name: str) -> None:
    for files in folders.values():
        for file in islice(files.sizes(), _LOOKED_AT):
            with files.open(file) as stream:
                _refuse_others(read_head(stream), name)


def _refuse_others(head: bytes, name: str) -> None:
    """Check that ``head`` does not begin a dump of a tool whose files monarch does not read."""
    for kind in KINDS:
        found = find_kind(kind).dump_tool(head)
        if found is not None:
            raise Uncheckable(f"{name!r} was written by {found[0]}: monarch does not read it.", found[1])


class UnpackedFiles(FileSet):
    """``files``, those that are called ``NAME.gz`` as ``NAME``, without their compression."""

    def __init__(self, files: FileSet) -> None:
        self._files = files
        names = files.sizes().keys()
        self._names = {name: name for name in names}
        for name in names:
            plain = name[: -len(_GZIPPED)] if name.lower().endswith(_GZIPPED) else name
            if plain not in self._names:
                self._names[plain] = self._names.pop(name)

    def sizes(self) -> dict[str, int]:
        sizes = self._files.sizes()
        return {name: sizes[packed] for name, packed in self._names.items()}

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        packed = self._names[name]
        with self._files.open(packed) as stream:
            yield CODECS["gz"].decompress(stream) if packed != name else stream
