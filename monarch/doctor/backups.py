"""``BACKUPS``: the store, the newest good backup of each environment, what was left behind, and the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from monarch.amounts import age
from monarch.backups.catalog import BackupCatalog
from monarch.backups.proof.freshness import (
    Freshness,
    FreshnessResult,
    each_database,
    judge_stored,
    select_environments,
)
from monarch.backups.retention.policy import parse_keep
from monarch.backups.secrecy.age import age_library
from monarch.backups.secrecy.encryption import Encryption, parse_encryption
from monarch.backups.state import Backup, BackupState
from monarch.databases.environment import Environment
from monarch.databases.foreign import as_argument
from monarch.databases.health.judging import judge_space
from monarch.databases.health.observation import Health, Observation
from monarch.doctor.findings import Diagnosis, fine, found, problem, skipped, warning
from monarch.errors import MonarchError, NotFresh
from monarch.settings.load import Settings
from monarch.settings.protection import why_hazardous
from monarch.stores import NoStore, open_store
from monarch.stores.base import Store

_LEFT = (BackupState.UNFINISHED, BackupState.INCOMPLETE, BackupState.BROKEN)
_MOST = 3


def examine_backups(
    settings: Settings,
    environments: Sequence[Environment],
    named: bool,
    root: Path,
    max_age: timedelta | None,
) -> Iterator[Diagnosis]:
    """Yield what is found of the store of backups, and of the backups of ``environments``.

    :param named: whether a person has named the environments, so that each of them should have a backup.
    :param max_age: the greatest age of a newest backup that is well; None allows every age.
    """
    try:
        store = open_store(settings.store, root)
    except NoStore as error:
        yield _no_store(environments, error)
        return
    except MonarchError as error:
        yield problem("BACKUPS", "settings", error)
        return
    yield from _examine_retention(settings)
    encryption, keys = _examine_keys(settings, root)
    yield from keys
    catalog = BackupCatalog(store, encryption)
    try:
        absence = store.absence()
        backups = catalog.list(cached=True, remember=False)
    except MonarchError as error:
        yield problem("BACKUPS", "store", error)
        return
    number = len(backups)
    has = f"has {number} backup{'s' * (number != 1)}." if absence is None else "does not exist yet."
    made = "" if absence is None else " The first backup makes it."
    yield fine("BACKUPS", "store", f"{store.place} {has}{made}")
    yield from _examine_store(store)
    yield from _examine_leftovers(backups)
    yield from _examine_freshness(catalog, backups, environments, named, max_age)


def _no_store(environments: Sequence[Environment], error: NoStore) -> Diagnosis:
    important = [one.label for one in environments if why_hazardous(one) or one.private]
    if not important:
        return skipped("BACKUPS", "settings", error.message)
    message = f"{error.message.rstrip('.')} of {', '.join(important)}."
    return warning("BACKUPS", "settings", message, error.hint)


def _examine_retention(settings: Settings) -> Iterator[Diagnosis]:
    try:
        parse_keep(settings.backups, [one.name for one in settings.environments])
    except MonarchError as error:
        yield problem("BACKUPS", "keep", error)


def _examine_keys(settings: Settings, root: Path) -> tuple[Encryption, list[Diagnosis]]:
    """Return the encryption, and what is found of it and of its keys."""
    try:
        encryption = parse_encryption(settings.backups, root)
        if not encryption.recipients:
            return encryption, []
        age_library()
    except MonarchError as error:
        return Encryption(), [problem("BACKUPS", "keys", error)]
    number = len(encryption.recipients)
    about = f"Encrypted for {number} recipient{'s' * (number != 1)}"
    if not encryption.identities:
        message = f"{about}; this machine has no key, so it can take backups and not restore them."
        return encryption, [skipped("BACKUPS", "keys", message)]
    try:
        own = encryption.read_identities()
    except MonarchError as error:
        return encryption, [warning("BACKUPS", "keys", f"{about}. {error.message}", error.hint)]
    if not own.recipients & set(encryption.recipients):
        message = f"{about}; none of the keys in {', '.join(own.places)} is that of a recipient."
        hint = "Add the private key of a recipient to 'identities' in BACKUPS['encrypt']."
        return encryption, [warning("BACKUPS", "keys", message, hint)]
    return encryption, [fine("BACKUPS", "keys", f"{about}, and a key is here.")]


def _examine_store(store: Store) -> Iterator[Diagnosis]:
    try:
        lacking, room = store.lacking(), store.room()
    except MonarchError as error:
        yield problem("BACKUPS", "rights", error)
        return
    if lacking is not None:
        yield warning(
            "BACKUPS", "rights", f"Backups cannot be written: {lacking}.", "Give your user that right."
        )
    if room is not None:
        yield found("BACKUPS", judge_space(*room))


def _examine_leftovers(backups: Sequence[Backup]) -> Iterator[Diagnosis]:
    for state in _LEFT:
        left = [one for one in backups if one.state is state]
        if left:
            first = as_argument(left[0].archive)
            yield warning(
                "BACKUPS",
                "leftovers",
                f"{len(left)} {state.value}: {_listed(left)}.",
                f"If nothing writes or needs them, delete them: monarch delete_backup {first}",
            )
    unread = [one for one in backups if one.state is BackupState.UNREADABLE]
    if unread:
        why = unread[0].why or "it cannot be read"
        message = f"{len(unread)} unreadable: {_listed(unread)}: {why}."
        yield warning(
            "BACKUPS", "leftovers", message, "Fix that: nothing can be restored from them until then."
        )


def _examine_freshness(
    catalog: BackupCatalog,
    backups: tuple[Backup, ...],
    environments: Sequence[Environment],
    named: bool,
    max_age: timedelta | None,
) -> Iterator[Diagnosis]:
    must = {one.name for one in select_environments(environments, backups)}
    should = [one for one in environments if one.name in must or why_hazardous(one)]
    selected = environments if named else should
    for environment in _databases_of(selected, backups):
        try:
            result, _ = judge_stored(catalog, environment, backups, max_age)
        except MonarchError as error:
            yield problem(environment.label, "backup", error)
            continue
        finding = _judge(result, is_needed=environment.name in must)
        # A person may have named one that needs none.
        if result.finding is Freshness.NONE and all(one.name != environment.name for one in should):
            finding = skipped(environment.label, "backup", "It has no backup, and needs none.")
        yield finding


def _databases_of(environments: Sequence[Environment], backups: Sequence[Backup]) -> Iterator[Environment]:
    for environment in environments:
        # A function of the settings that fails is reported with the environment.
        with suppress(MonarchError):
            if environment.problem is None:
                yield from each_database([environment], backups)


def _judge(result: FreshnessResult, *, is_needed: bool) -> Diagnosis:
    label = result.environment.label
    if result.newest is not None and result.age is not None:
        about = f"The newest good one, {result.newest.name}, is {age(result.age)} old"
    else:
        about = "It has no good backup"
    message = f"{about}{f'; {result.why}' if result.why else ''}."
    if result.finding is Freshness.OK:
        return fine(label, "backup", message)
    if result.finding is Freshness.UNKNOWN:
        return warning(label, "backup", message, "Fix the cause: the newest backup is not known.")
    hint = f"Find out why none was taken, then take one: monarch backup {as_argument(label)}"
    state = Health.PROBLEM if is_needed else Health.WARNING
    if result.finding is Freshness.TOO_OLD:
        message = message.replace(" old", " old, which is too old", 1)
    return found(label, Observation("backup", state, message, hint, NotFresh.exit_code))


def _listed(backups: Sequence[Backup]) -> str:
    more = len(backups) - _MOST
    return ", ".join(one.archive for one in backups[:_MOST]) + (f" and {more} more" if more > 0 else "")
