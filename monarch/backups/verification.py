"""Verifying backups one after the other, and finding those to verify and the one to restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.foreign.opening import Uncheckable
from monarch.backups.reader import (
    BrokenBackup,
    NoManifest,
    open_backup,
    require_restorable,
    verify,
    verify_contents,
)
from monarch.backups.secrecy.identities import NoKey
from monarch.backups.state import Backup, BackupState
from monarch.databases.environment import Environment
from monarch.databases.foreign import as_argument
from monarch.databases.several.members import find_environment, is_member
from monarch.databases.transfer import CopiedCollection
from monarch.errors import DamagedError, MonarchError, RunInterrupted, StoreError, UsageError
from monarch.progress import Progress


class Finding(Enum):
    """What verifying a backup has found; the last three say nothing about its contents."""

    GOOD = "good"
    # It is foreign: nothing tells whether it is complete.
    INTACT = "intact"
    # It lacks its manifest, and its archive is intact.
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    # The store does not let it be read.
    UNREAD = "unread"
    # It is encrypted, and this machine has no key that opens it.
    NO_KEY = "no key"
    # It is foreign, and monarch does not read its format.
    UNCHECKED = "unchecked"


_GOOD = {Finding.GOOD: True, Finding.INTACT: True, Finding.INCOMPLETE: False, Finding.BROKEN: False}


@dataclass(frozen=True)
class VerifiedBackup:
    """The result of verifying ``backup``, and ``why``; if there is something to do, a ``hint``.

    ``collections`` are those in it, if it is good or intact. ``seconds`` is how long reading it took.
    ``contents_checked`` is False if it is encrypted and only its bytes were checked.
    """

    backup: Backup
    finding: Finding
    why: str | None
    collections: tuple[CopiedCollection, ...]
    seconds: float
    hint: str | None = None
    contents_checked: bool = True

    @property
    def good(self) -> bool | None:
        """Whether it is as it was written; None if that is not known."""
        return _GOOD.get(self.finding)


def verify_all(
    catalog: BackupCatalog,
    backups: Iterable[Backup],
    progress: Progress,
    report: Callable[[VerifiedBackup], None],
    *,
    deep: bool = False,
) -> tuple[VerifiedBackup, ...]:
    """Read ``backups`` to their end; ``report`` is called with each result as soon as it is known.

    Encrypted ones are decrypted if ``deep``; otherwise only their bytes are checked, which needs no key.

    :raises LockedError: if one of them is being written.
    """
    results = []
    for backup in backups:
        results.append(_verify(catalog, backup, progress, verify_contents if deep else verify))
        report(results[-1])
    return tuple(results)


def _verify(
    catalog: BackupCatalog,
    backup: Backup,
    progress: Progress,
    check: Callable[[BackupCatalog, Backup, Progress], tuple[CopiedCollection, ...]],
) -> VerifiedBackup:
    began = time.monotonic()
    finding = Finding.INTACT if backup.state is BackupState.FOREIGN else Finding.GOOD
    why, hint = backup.why, None
    collections: tuple[CopiedCollection, ...] = ()
    try:
        collections = check(catalog, backup, progress)
    except NoManifest as error:
        finding, why = Finding.INCOMPLETE, error.message
    except BrokenBackup as error:  # its hint searches another backup, which nobody has asked for
        finding, why = Finding.BROKEN, error.message
    except Uncheckable as error:
        finding, why, hint = Finding.UNCHECKED, error.message, error.hint
    except NoKey as error:
        finding, why, hint = Finding.NO_KEY, error.message, error.hint
    except StoreError as error:
        finding, why = Finding.UNREAD, error.message
    contents_checked = not backup.encrypted or check is verify_contents
    return VerifiedBackup(backup, finding, why, collections, time.monotonic() - began, hint, contents_checked)


def read_back(catalog: BackupCatalog, name: str, progress: Progress) -> VerifiedBackup:
    """Read the backup called ``name``, which has just been taken, to its end. It stays, whatever is found.

    :raises StoreError: if the store cannot be reached.
    :raises RunInterrupted: on Ctrl-C, saying that there is a backup.
    """
    try:
        return _verify(catalog, catalog.get(name), progress, verify)
    except StoreError as error:
        raise _not_read_back(name, error.message) from error
    except KeyboardInterrupt as error:
        raise RunInterrupted(
            f"Interrupted. The backup {name!r} is complete; it was not read back to its end."
        ) from error


def require_read_back(verified: VerifiedBackup) -> None:
    """Check that the backup that `read_back` has read is good.

    :raises DamagedError: if it is not what was written.
    :raises StoreError: if it could not be read.
    """
    name = verified.backup.name
    if verified.finding is Finding.UNREAD:
        raise _not_read_back(name, verified.why or "")
    if verified.finding is not Finding.GOOD:
        raise DamagedError(
            f"{name!r} was written, but it cannot be restored: {verified.why}",
            "It was not deleted. Check the disk or the network, and take another one.",
        )


def _not_read_back(name: str, why: str) -> StoreError:
    return StoreError(
        f"{name!r} was written, but it could not be read back: {why}",
        f"It was not deleted. Fix the cause, then run `monarch verify_backup {as_argument(name)}`.",
    )


def find_named(
    catalog: BackupCatalog, names: Iterable[str], environments: Sequence[Environment]
) -> tuple[Backup, ...]:
    """Return the backups called ``names``, each once; the name of an environment means all its backups.

    :raises UsageError: if there is no backup and no environment of one of the names.
    :raises MonarchError: if an environment has no backups.
    """
    known = [environment.name for environment in environments]
    found: dict[str, Backup] = {}
    for name in names:
        backup = None if is_member(environments, name) else catalog.find(name)
        backups = [backup] if backup else [one for one in catalog.list() if one.is_of(name)]
        if not backups and find_environment(environments, name) is None:
            backups = [catalog.get(name, known)]
        if not backups:
            raise MonarchError(
                f"There is no backup of {name!r} in {catalog.store.place}.", f"Run `monarch backup {name}`."
            )
        found |= {one.archive: one for one in backups}
    return tuple(found.values())


def find_restorable(catalog: BackupCatalog, name: str, environments: tuple[Environment, ...]) -> Backup:
    """Return the backup called ``name``, or else the newest good one of the environment of that name.

    A foreign archive is opened, to see whether it can be restored before anybody is asked.

    :raises NoKey: if it is encrypted, and this machine has no key.
    :raises BrokenBackup: if the listing already shows that it is not whole.
    :raises UsageError: if there is none, or it is foreign and not an archive of one database.
    """
    backup = None if is_member(environments, name) else catalog.find(name)
    environment = find_environment(environments, name) if backup is None else None
    if environment is not None:
        environment.require_one()
        backup = catalog.newest(environment.name, environment.db_name)
        if backup is None:
            raise UsageError(
                f"There is no good backup of {name!r} ({environment.db_name}) in {catalog.store.place}.",
                f"Run `monarch backup {name}`, or use the name of a backup "
                "(a backup of a subset is found by its own name only, and so is a masked one).",
            )
    if backup is None and _is_path(name):
        raise UsageError(
            f"There is no backup {name!r} in {catalog.store.place}, but a file or folder of this name.",
            f"Take it over first: monarch adopt_backup {as_argument(name)}",
        )
    backup = backup or catalog.get(name, [environment.name for environment in environments])
    require_restorable(catalog, backup)
    if backup.encrypted:
        catalog.encryption.read_identities()
    if backup.state is BackupState.FOREIGN:
        with open_backup(catalog, backup):
            pass
    return backup


def _is_path(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False
