"""All checks of `monarch doctor`, one after another; only the environments are looked at in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from monarch.backups.plans.patience import InTime
from monarch.databases import KINDS, find_kind
from monarch.databases.several import is_wild
from monarch.databases.several.targets import Selected, select
from monarch.doctor.backups import examine_backups
from monarch.doctor.code import (
    Migrations,
    call_function,
    examine_masks,
    examine_migrations,
    examine_query_sets,
    examine_settings,
)
from monarch.doctor.environments import examine_environments
from monarch.doctor.findings import Diagnosis, found, guarded, problem, skipped
from monarch.doctor.versions import examine_versions
from monarch.errors import MonarchError
from monarch.progress import Progress
from monarch.settings.load import Settings
from monarch.settings.paths import Place
from monarch.settings.search import place_at

# Seconds for the store of backups.
_STORE = 20.0


def examine(
    root: Path,
    load: Callable[[], Settings],
    names: Sequence[str],
    max_age: timedelta | None,
    progress: Progress,
) -> Iterator[Diagnosis]:
    """Yield what is found of the project at ``root``. Writes nothing.

    :param load: loads its settings.
    :param names: the environments to look at, also as patterns; all if there are none.
    :param max_age: the greatest age of a newest backup that is well; None allows every age.
    :raises UnknownEnvironment: if the settings have no environment of a name, or none for a pattern.
    """
    settings, about_settings = examine_settings(load)
    selected = tuple(map(call_function, _choose(settings, names)))
    chosen = tuple(one.environment for one in selected)
    yield from examine_versions()
    yield from about_settings
    migrations = Migrations()
    place = Place(root)
    with suppress(MonarchError):  # which loading the settings has reported
        place = place_at(root)
    if settings is not None or (root / place.folder).exists():
        yield from guarded("migrations", examine_migrations(root, migrations))
    yield from guarded("query sets", examine_query_sets(root))
    needed = any(one.private for one in chosen)
    yield from guarded("masks", examine_masks(root, place.privacy, needed=needed))
    kinds = {one.known_kind for one in chosen} - {None}
    versions: dict[str, list[str]] = {}
    if settings is None:
        yield skipped("environments", "settings", "Not looked at, because the settings do not load.")
        yield skipped("BACKUPS", "settings", "Not looked at, because the settings do not load.")
    else:
        # The store answers meanwhile.
        about_backups: list[Diagnosis] = []
        backups = guarded("BACKUPS", examine_backups(settings, chosen, bool(names), root, max_age))
        waited = InTime(lambda: about_backups.extend(backups), _STORE, progress)
        for environment, findings, servers in examine_environments(
            selected, bool(names), root, migrations, progress
        ):
            yield from findings
            versions.setdefault(environment.kind, []).extend(servers)
        try:
            waited.result()
        except MonarchError as error:
            about_backups.append(problem("BACKUPS", "store", error))
        yield from tuple(about_backups)
    for kind in KINDS:
        # Without settings, both may be what the person needs.
        if kind in kinds or settings is None:
            for one in find_kind(kind).examine_tools(versions.get(kind, ())):
                yield found("tools", one)


def _choose(settings: Settings | None, names: Sequence[str]) -> tuple[Selected, ...]:
    if settings is None:
        return ()
    if not names:
        return tuple(map(Selected, settings.environments))
    chosen: list[Selected] = []
    for name in names:
        wild = is_wild(name)
        found = select(settings.environments, name) if wild else (Selected(settings.environment(name)),)
        chosen += [one for one in found if one not in chosen]
    return tuple(chosen)
