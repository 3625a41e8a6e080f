"""Searching a copy that exists for what the rules mask."""

from __future__ import annotations

from pathlib import Path

from monarch.databases import open_database, require_transfers
from monarch.databases.environment import Environment
from monarch.databases.transfer import as_transfer_database
from monarch.errors import UsageError
from monarch.handouts.masks import discarding, naming
from monarch.privacy.leaks.check import Leak
from monarch.privacy.project_masks import load_project_masks
from monarch.progress import Progress
from monarch.settings.search import place_at


def find_leaks(
    root: Path, source: Environment, copy: Environment, *, check_all: bool, progress: Progress
) -> tuple[Leak, ...]:
    """Return where ``copy`` holds values that the rules of the project at ``root`` mask in ``source``.

    :raises UsageError: if both are the same database, or of different kinds.
    :raises MaskingError: if documents of ``source`` cannot be masked by the rules.
    """
    require_transfers(*((end.kind, repr(end.name)) for end in (source, copy)))
    with naming(source.name):
        rules = load_project_masks(root, place_at(root).privacy, check_all=check_all)
    with open_database(source, root, progress) as opened, open_database(copy, root, progress) as opened_copy:
        database, copied = as_transfer_database(opened), as_transfer_database(opened_copy)
        if database.is_same_as(copied):
            raise UsageError(f"{source.name!r} and {copy.name!r} are the same database.", "Name two.")
        database.require_whole()
        with naming(source.name), discarding(rules, progress):
            return database.find_leaks(copied, rules, progress)
