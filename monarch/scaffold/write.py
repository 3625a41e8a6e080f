"""Write the files that people edit: settings, migrations, query sets."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from monarch.databases import DEFAULT_KIND, find_kind
from monarch.databases.kinds import DatabaseKind
from monarch.errors import ProjectError, SettingsError, UsageError
from monarch.migrations.files.find import find_migrations
from monarch.migrations.files.kinds import find_kinds
from monarch.migrations.files.names import name_from, next_stamp
from monarch.querysets.files import find_query_sets
from monarch.scaffold import templates
from monarch.scaffold.neighbours import whose
from monarch.scaffold.places import parse_folder, usual_folder
from monarch.scaffold.pyproject import with_folder, write_folder
from monarch.settings.load import load_settings
from monarch.settings.paths import FOLDER, QUERY_SETS, SETTINGS, Place
from monarch.settings.pyproject import check_folder
from monarch.settings.search import place_at, where_else
from monarch.system.atomic_files import keep_old_version, write_atomically
from monarch.system.spelling import camel_case


class SeveralKinds(UsageError):
    """The project has databases of several ``kinds``, each with its environments, and none is named."""

    def __init__(self, kinds: Mapping[str, tuple[str, ...]]) -> None:
        of = "; ".join(
            f"{find_kind(kind).title}: {', '.join(names)}" for kind, names in kinds.items() if names
        )
        super().__init__(
            "The settings have databases of several kinds.",
            f"Name one: --kind {' or --kind '.join(kinds)}{f' ({of})' if of else ''}",
        )
        self.kinds = kinds


def init(root: Path, kind: str = DEFAULT_KIND, named: str | None = None) -> tuple[Path, ...]:
    """See `monarch.project.Project.init`."""
    place, text = place_at(root), None
    if named is not None:
        before, place = place, replace(place, folder=check_folder(named, "--folder"))
        if place.folder != before.folder:
            if (root / before.settings).exists():
                raise ProjectError(
                    f"This project has {before.settings.as_posix()} already. Nothing was written.",
                    f"Move {before.folder}/ to {place.folder}/, and write folder = {place.folder!r} below "
                    "[tool.monarch] in pyproject.toml.",
                )
            text = with_folder(root, place.folder)
    folder = root / place.folder
    if (other := find_owner(root, place)) is not None:
        free = "db_migrations" if place.folder != "db_migrations" else "monarch_migrations"
        raise ProjectError(
            f"{place.folder}/ has the migrations of {other}. Nothing was written.",
            f"Use a folder of monarch's own: monarch init --folder {free}",
        )
    if root.name == FOLDER and (root.parent / SETTINGS).exists():
        raise ProjectError(
            "This folder is the migrations/ of a project.", "Go to the project's folder: cd .."
        )
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        package, settings = folder / "__init__.py", root / place.settings
        if not package.exists():
            write_atomically(package, templates.read("__init__.py"))
            written.append(package)
        if settings.exists():
            written.append(keep_old_version(settings))
        write_atomically(settings, templates.read(find_kind(kind).settings_template))
        written.append(settings)
        if text is not None:
            written.append(write_folder(root, text))
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error.strerror}.", "Fix that first.") from error
    return tuple(written)


def find_owner(root: Path, place: Place) -> str | None:
    """Return the other tool whose migrations the folder of ``place`` has; None if it may be monarch's."""
    return None if (root / place.settings).exists() else whose(root / place.folder)


def generate(
    root: Path, text: str, kind: str | None = None, folder: str | None = None, template: str | None = None
) -> Path:
    """See `monarch.project.Project.generate`."""
    name = name_from(text)
    files = find_migrations(root)
    for file in files:
        if file.name.casefold() == name.casefold():
            raise ProjectError(
                f"There is a migration {name!r} already: {file.shown_path}.", "Choose another name."
            )
    stamp = next_stamp(file.stamp for file in files)
    inside = usual_folder(files, stamp) if folder is None else parse_folder(folder, place_at(root).folder)
    class_name = f"{camel_case(name)}Migration"
    top = place_at(root).folder
    own = templates.find_own(root / top)
    if template is not None:
        own = templates.find_template(root / top, files, template)
    if own is not None:
        source = own.render(class_name, name)
    else:
        source = templates.render_migration(_find_kind(root, kind), class_name, name)
    path = root / top / inside / f"_{stamp}_{name}_migration.py"
    new: list[Path] = []
    try:
        new = [one for one in path.parents if not one.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, source)
    except OSError as error:
        for one in new:
            with suppress(OSError):
                one.rmdir()
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Fix that first.") from error
    return path


def _find_kind(root: Path, named: str | None) -> DatabaseKind:
    """The kind called ``named``, or else that of all databases of the project.

    :raises SeveralKinds: if they are of several kinds, and none is named.
    """
    if named is not None:
        return find_kind(named)
    try:
        environments = load_settings(root).environments
        kinds = find_kinds(environments, root)
    except SettingsError:  # a migration can be written before the settings are right
        kinds = frozenset()
    if len(kinds) > 1:
        of = {kind: [one.name for one in environments if one.known_kind == kind] for kind in sorted(kinds)}
        raise SeveralKinds({kind: tuple(names) for kind, names in of.items()})
    return find_kind(next(iter(kinds), DEFAULT_KIND))


def generate_query_set(root: Path, text: str, kind: str | None = None) -> Path:
    """See `monarch.project.Project.generate_query_set`."""
    name = name_from(text, "query set", "generate_query_set")
    settings = place_at(root).settings
    if not (root / settings).exists():
        raise ProjectError(f"There is no {settings} here ({root}).", where_else(root))
    class_name = f"{camel_case(name)}QuerySet"
    folder = root / QUERY_SETS
    path = folder / f"{name}_queryset.py"
    taken = {file.name: file.shown_path for file in find_query_sets(root)}
    if class_name in taken or path.exists():
        where = taken.get(class_name, f"{QUERY_SETS}/{path.name}")
        raise ProjectError(f"There is a query set {class_name!r} already: {where}.", "Choose another name.")
    source = templates.render_query_set(_find_kind(root, kind), class_name)
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / "__init__.py").exists():
            write_atomically(folder / "__init__.py", templates.read("__init__.py"))
        write_atomically(path, source)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Fix that first.") from error
    return path
