"""What is not deleted, and how that is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monarch.backups.state import Backup
from monarch.databases.foreign import as_argument
from monarch.errors import LockedError, MonarchError, UsageError
from monarch.stores.base import NotStored


def remove(delete: Callable[[str], None], file: str) -> bool:
    """Remove ``file`` by ``delete``, and return whether it was there."""
    try:
        delete(file)
    except NotStored:
        return False
    return True


def refuse_protected(backup: Backup | None) -> None:
    """Check that ``backup`` is not protected.

    :raises LockedError: if it is.
    """
    if backup is not None and backup.protection is not None and backup.protection.holds():
        raise LockedError(
            f"{backup.name!r} is {backup.protection}. It was not deleted.",
            f"If it may go: monarch unprotect_backup {as_argument(backup.name)}",
        )


def refuse_rekeyed(archives: Iterable[Backup]) -> None:
    """Check that none of ``archives``, which are one backup, is being written.

    :raises LockedError: if one is: what is deleted now would be there again afterwards.
    """
    found = tuple(archives)
    if len(found) > 1 and (busy := next((one for one in found if one.busy), None)):
        raise LockedError(
            f"{busy.name!r} is being encrypted anew: {busy.archive!r} is not finished. It was not deleted.",
            f"Wait for rekey_backup. If that was cut off: monarch delete_backup {as_argument(busy.archive)}",
        )


def require_same(backup: Backup, now: Backup | None) -> None:
    """Check that ``backup`` is the one that is there ``now``.

    :raises MonarchError: if not.
    """
    if now is None:
        raise gone(backup)
    if now != backup:
        raise another(now)


def another(now: Backup) -> MonarchError:
    """Return the error of a deletion that found the backup ``now``, which is not the one that was listed."""
    return MonarchError(
        f"{now.name!r} is another backup by now: {now.state.value}, {now.bytes:,} bytes.",
        "It was not deleted. Run `monarch list_backups` and try again.",
    )


def gone(backup: Backup) -> UsageError:
    """Return the error of a deletion that came too late."""
    return UsageError(
        f"{backup.name!r} was deleted or changed by another run.",
        "Run `monarch list_backups` to see what is there.",
    )
