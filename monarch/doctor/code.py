"""The project's own code: its settings, migrations, query sets and rules load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from monarch.databases.several.targets import Selected
from monarch.doctor.findings import Diagnosis, fine, problem, skipped
from monarch.doctor.limits import careful
from monarch.errors import MonarchError, ProjectError
from monarch.migrations.files.classes import load_migration
from monarch.migrations.files.find import MigrationFile, find_migrations
from monarch.privacy.load import load_masks
from monarch.querysets.files import find_query_sets, load_query_set
from monarch.settings.load import Settings
from monarch.settings.paths import SETTINGS


@dataclass
class Migrations:
    """The migrations of the project, by the kind of database that they run on; None if they cannot be listed.

    One that does not load is among those of every kind.
    """

    files: tuple[MigrationFile, ...] | None = None
    kinds: dict[str, str | None] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[MigrationFile, ...] | None:
        """Return those that run on databases of ``kind``."""
        if self.files is None:
            return None
        return tuple(file for file in self.files if self.kinds.get(file.key) in (None, kind))


def examine_settings(load: Callable[[], Settings]) -> tuple[Settings | None, list[Diagnosis]]:
    """Return the settings, None if they do not load, and what is found of them."""
    try:
        with careful():
            settings = load()
    except MonarchError as error:
        return None, [problem("settings", "load", error)]
    number = len(settings.environments)
    findings = [fine("settings", "load", f"{SETTINGS} has {number} environment{'s' * (number != 1)}.")]
    try:
        _ = settings.hooks
    except MonarchError as error:
        findings.append(problem("settings", "hooks", error))
    return settings, findings


def call_function(selected: Selected) -> Selected:
    """Call the function of ``selected`` that returns its databases, if it has one: later that costs nothing.

    In a thread nothing could end it. If it fails, that is the environment's problem.
    """
    environment = selected.environment
    several = environment.databases
    if several is None or environment.problem is not None or environment.missing is not None:
        return selected
    try:
        with careful():
            several.named()
    except MonarchError as error:
        return replace(selected, environment=replace(environment, problem=error.message, remedy=error.hint))
    return selected


def examine_migrations(root: Path, migrations: Migrations) -> Iterator[Diagnosis]:
    """Yield what is found of the migrations at ``root``; fill ``migrations``."""
    try:
        files = migrations.files = find_migrations(root)
    except MonarchError as error:
        yield problem("migrations", "load", error)
        return
    loaded = 0
    for file in files:
        try:
            with careful():
                migrations.kinds[file.key] = load_migration(file, root).database_kind
            loaded += 1
        except MonarchError as error:
            yield _unloaded("migrations", error)
    if loaded == len(files):
        message = f"All {loaded} load." if loaded else "There are none yet."
        yield fine("migrations", "load", message)


def examine_query_sets(root: Path) -> Iterator[Diagnosis]:
    """Yield what is found of the query sets at ``root``; nothing if there are none."""
    try:
        files = find_query_sets(root)
    except MonarchError as error:
        yield problem("query sets", "load", error)
        return
    failed = 0
    for file in files:
        try:
            with careful():
                load_query_set(file, root)
        except MonarchError as error:
            failed += 1
            yield _unloaded("query sets", error)
    if files and not failed:
        yield fine("query sets", "load", f"All {len(files)} load.")


def examine_masks(root: Path, file: Path, *, needed: bool) -> Iterator[Diagnosis]:
    """Yield what is found of the masks at ``root``.

    :param file: theirs, relative to ``root``.
    :param needed: whether an environment is private.
    """
    if not (root / file).exists():
        if needed:
            message = f"There is no {file.as_posix()}: nothing leaves a private environment until there is."
            yield skipped("masks", "load", message)
        return
    try:
        with careful():
            load_masks(root, file=file)
    except MonarchError as error:
        yield _unloaded("masks", error)
        return
    yield fine("masks", "load", f"{file.as_posix()} loads.")


def _unloaded(subject: str, error: MonarchError) -> Diagnosis:
    """Return that a file does not load, without what only fits a command that would have run it."""
    hint = (error.hint or "").removeprefix("Nothing has run. ")
    hint = hint.removesuffix(" --traceback shows the whole traceback.")
    return problem(subject, "load", ProjectError(error.message, hint or None))
