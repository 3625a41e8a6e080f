"""Write the files that people edit: settings, migrations, query sets."""

from __future__ import annotations

from pathlib import Path

from monarch.databases import DEFAULT_KIND, find_kind
from monarch.databases.kinds import DatabaseKind
from monarch.errors import ProjectError, SettingsError, UsageError
from monarch.migrations.files.find import find_migrations
from monarch.migrations.files.kinds import find_kinds
from monarch.migrations.files.names import check_name, next_stamp
from monarch.querysets.files import find_query_sets
from monarch.scaffold import templates
from monarch.settings.load import load_settings
from monarch.settings.paths import FOLDER, QUERY_SETS, SETTINGS, where_else
from monarch.system.atomic_files import keep_old_version, write_atomically
from monarch.system.spelling import camel_case


def init(root: Path, kind: str = DEFAULT_KIND) -> tuple[Path, ...]:
    """See `monarch.project.Project.init`."""
    folder = root / FOLDER
    if root.name == FOLDER and (root.parent / SETTINGS).exists():
        raise ProjectError(
            "This folder is the migrations/ of a project.", "Go to the project's folder: cd .."
        )
    written = []
    try:
        folder.mkdir(exist_ok=True)
        package, settings = folder / "__init__.py", root / SETTINGS
        if not package.exists():
            write_atomically(package, templates.read("__init__.py"))
            written.append(package)
        if settings.exists():
            written.append(keep_old_version(settings))
        write_atomically(settings, templates.read(find_kind(kind).settings_template))
        written.append(settings)
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error.strerror}.", "Fix that first.") from error
    return tuple(written)


def generate(root: Path, name: str, kind: str | None = None) -> Path:
    """See `monarch.project.Project.generate`."""
    check_name(name)
    files = find_migrations(root)
    for file in files:
        if file.name.casefold() == name.casefold():
            raise ProjectError(
                f"There is a migration {name!r} already: {file.shown_path}.", "Choose another name."
            )
    path = root / FOLDER / f"_{next_stamp(file.stamp for file in files)}_{name}_migration.py"
    source = templates.render_migration(
        root / FOLDER, _find_kind(root, kind), f"{camel_case(name)}Migration", name
    )
    try:
        write_atomically(path, source)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Fix that first.") from error
    return path


def _find_kind(root: Path, named: str | None) -> DatabaseKind:
    """The kind called ``named``, or else that of all databases of the project.

    :raises UsageError: if they are of several kinds, and none is named.
    """
    if named is not None:
        return find_kind(named)
    try:
        kinds = find_kinds(load_settings(root).environments, root)
    except SettingsError:  # a migration can be written before the settings are right
        kinds = frozenset()
    if len(kinds) > 1:
        raise UsageError(
            "The settings have databases of several kinds.",
            f"Name one: --kind {' or --kind '.join(sorted(kinds))}",
        )
    return find_kind(next(iter(kinds), DEFAULT_KIND))


def generate_query_set(root: Path, name: str, kind: str | None = None) -> Path:
    """See `monarch.project.Project.generate_query_set`."""
    check_name(name, "query set", "generate_query_set")
    if not (root / SETTINGS).exists():
        raise ProjectError(f"There is no {SETTINGS} here ({root}).", where_else(root))
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
