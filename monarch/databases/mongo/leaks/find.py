"""Searching a copy for what the rules mask in its source, whenever and however it was made."""

from __future__ import annotations

from collections.abc import Iterator

from monarch.databases.mongo.catalog.read import read_catalog
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.some_documents import read_some
from monarch.databases.mongo.leaks.check import SAMPLE, LeakCheck
from monarch.databases.mongo.sources.base import summarize
from monarch.databases.transform import MaskingTransform
from monarch.privacy.leaks.check import Leak
from monarch.privacy.project_masks import ProjectMasks
from monarch.progress import Progress

_OURS = (HISTORY, JOURNAL)


def find_leaks(
    source: DatabaseHandle,
    copy: DatabaseHandle,
    masking: MaskingTransform,
    rules: ProjectMasks,
    progress: Progress,
) -> tuple[Leak, ...]:
    """Return where ``copy`` holds values of ``source`` that ``masking`` masks by ``rules``. Writes nothing.

    :raises MaskingError: if a document of ``source`` cannot be masked.
    """
    number = None if rules.check_all else SAMPLE
    check = LeakCheck(rules)
    masking.require_rules(tuple(map(summarize, read_catalog(source))))
    progress.phase("reading")
    for name, documents in _read(source, number):
        progress.transferred(0, len(documents))
        check.gather(name, documents, masking(name, documents))
    progress.phase("checking")
    return check.search(_read(copy, number))


def _read(database: DatabaseHandle, number: int | None) -> Iterator[tuple[str, bytes]]:
    for collection in read_catalog(database):
        if collection.kind != "view" and collection.name not in _OURS:
            for documents in read_some(database, collection.name, number):
                yield collection.name, documents
