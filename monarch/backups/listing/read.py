"""Reading the backups that a store holds, from its files and their manifests."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from monarch.backups.foreign.recognition import find_foreign
from monarch.backups.listing.cache import KnownManifest, ListingCache, know
from monarch.backups.listing.summary import ManifestSummary, read_summary
from monarch.backups.names import MANIFEST, split_archive_name, split_note_name
from monarch.backups.retention.protection import read_protections
from monarch.backups.state import Backup, foreign_backup, judge_backup
from monarch.errors import MonarchError
from monarch.stores.base import Store, StoredFile

LARGEST_MANIFEST = 64 << 20


def read_backups(store: Store, prefix: str, cache: ListingCache | None = None) -> Iterator[Backup]:
    """Yield the backups of ``store`` whose files begin with ``prefix``, in no order.

    :param cache: what is known of manifests: these are not read again. Without one, all are read.
    """
    listed = list(store.list(prefix))
    protections = read_protections(store, listed)
    for backup in _judge(store, listed, cache):
        protection = protections.get(backup.archive)
        yield replace(backup, protection=protection) if protection else backup


def _judge(store: Store, listed: Iterable[StoredFile], cache: ListingCache | None) -> Iterator[Backup]:
    """Yield the backups whose files are ``listed``, without their protections."""
    files: dict[str, StoredFile] = {}
    begun: dict[str, StoredFile] = {}
    others: dict[str, StoredFile] = {}
    for stored in listed:
        if split_archive_name(stored.name.removesuffix(MANIFEST)) is not None:
            (begun if stored.unfinished else files)[stored.name] = stored
        elif not stored.unfinished and split_note_name(stored.name) is None:
            others[stored.name] = stored
    archives = {name.removesuffix(MANIFEST) for name in (*files, *begun)}
    alone = {name for name in archives if name + MANIFEST not in files and name + MANIFEST not in begun}
    for name, kind in find_foreign(store, [*others, *(alone & files.keys())]):
        archives.discard(name)
        yield foreign_backup(others.get(name) or files[name], kind)
    manifests = {
        archive + MANIFEST: files[archive + MANIFEST]
        for archive in archives
        if {archive, archive + MANIFEST} <= files.keys()
    }
    for manifest, summary in _read_manifests(store, manifests, cache):
        archive = manifest.removesuffix(MANIFEST)
        archives.discard(archive)
        yield judge_backup(archive, files, begun, summary)
    for archive in archives:
        yield judge_backup(archive, files, begun, None)


def _read_manifests(
    store: Store, manifests: Mapping[str, StoredFile], cache: ListingCache | None
) -> Iterator[tuple[str, ManifestSummary | MonarchError]]:
    """Yield the summaries of ``manifests``, or the errors of reading them, without those that vanished."""
    before = cache.load() if cache else {}
    known = {name: before[name] for name, stored in manifests.items() if _knows(before, stored)}
    if known and not _is_right(store, known):
        known = {}
    now = dict(known)
    for name, one in known.items():
        yield name, one.summary
    for file in store.read_small([name for name in manifests if name not in known], LARGEST_MANIFEST):
        stored, summary = manifests[file.name], read_summary(file.text)
        # Between the listing and this another manifest may have got its name.
        if isinstance(summary, ManifestSummary) and file.version == stored.version is not None:
            assert isinstance(file.text, bytes)
            now[file.name] = know(stored, file.text, summary)
        yield file.name, summary
    if cache and now != before:
        cache.save(now)


def _knows(known: Mapping[str, KnownManifest], stored: StoredFile) -> bool:
    return stored.name in known and known[stored.name].is_of(stored)


def _is_right(store: Store, known: Mapping[str, KnownManifest]) -> bool:
    """Whether one of ``known``, chosen by chance, is still what is in ``store``, and may be read.

    If it is not, the server does not tell one manifest from another, or this user may not read them any
    more: a listing that reads them all shows it.
    """
    name = random.choice(list(known))
    for file in store.read_small([name], LARGEST_MANIFEST):
        if isinstance(file.text, bytes):
            return hashlib.sha256(file.text).hexdigest() == known[name].sha256
    return False
