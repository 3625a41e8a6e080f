"""The files that monarch writes for people to go on with: settings and migrations."""

from __future__ import annotations

from pathlib import Path

from monarch import templates
from monarch.errors import ProjectError
from monarch.migrations.files import find_migrations
from monarch.migrations.naming import check_name, next_stamp
from monarch.names import camel_case
from monarch.places import FOLDER, SETTINGS
from monarch.writing import keep_aside, write_whole


def init(root: Path) -> tuple[Path, ...]:
    """See `monarch.project.Project.init`."""
    folder = root / FOLDER
    if root.name == FOLDER and (root.parent / SETTINGS).exists():
        raise ProjectError("This is the inside of a project.", "Its folder is the one above: cd ..")
    written = []
    try:
        folder.mkdir(exist_ok=True)
        package, settings = folder / "__init__.py", root / SETTINGS
        if not package.exists():
            write_whole(package, templates.read("__init__.py"))
            written.append(package)
        if settings.exists():
            written.append(keep_aside(settings))
        write_whole(settings, templates.read("settings.py.tmpl"))
        written.append(settings)
    except OSError as error:
        raise ProjectError(f"{folder} cannot be written: {error.strerror}.", "Mend that first.") from error
    return tuple(written)


def generate(root: Path, name: str) -> Path:
    """See `monarch.project.Project.generate`."""
    check_name(name)
    files = find_migrations(root)
    for file in files:
        if file.name.casefold() == name.casefold():
            raise ProjectError(
                f"There is a migration {name!r} already: {file.shown_path}.", "Choose another name."
            )
    path = root / FOLDER / f"_{next_stamp(files)}_{name}_migration.py"
    source = templates.render_migration(root / FOLDER, f"{camel_case(name)}Migration", name)
    try:
        write_whole(path, source)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Mend that first.") from error
    return path
