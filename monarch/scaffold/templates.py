"""The files of ``migrations_template/``, which `init` and `generate` write."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template

from monarch.databases.kinds import DatabaseKind
from monarch.errors import ProjectError

MIGRATION = "migration.py.tmpl"


def read(name: str) -> str:
    """Return the text of one of monarch's templates."""
    return resources.files("monarch.migrations_template").joinpath(name).read_text(encoding="utf-8")


def render_query_set(kind: DatabaseKind, class_name: str) -> str:
    """Return the source of a new query set."""
    return Template(kind.query_set_template()).substitute(class_name=class_name)


def render_migration(folder: Path, kind: DatabaseKind, class_name: str, name: str) -> str:
    """Return the source of a new migration, from the project's template in ``folder`` or from the kind's.

    :raises ProjectError: if the project's template cannot be read, or does not render valid Python.
    """
    own = folder / MIGRATION
    try:
        text = own.read_text(encoding="utf-8") if own.exists() else kind.migration_template()
        source = Template(text).substitute(class_name=class_name, name=name)
        compile(source, str(own), "exec")
    except SyntaxError as error:
        raise _broken(f"it renders invalid Python: {error.msg}, line {error.lineno}") from None
    except KeyError as error:
        raise _broken(f"it uses the unknown ${error.args[0]}") from None
    except ValueError as error:
        raise _broken(str(error)) from None
    except OSError as error:
        raise _broken(error.strerror or "it cannot be read") from None
    return source


def _broken(why: str) -> ProjectError:
    return ProjectError(
        f"The template migrations/{MIGRATION} cannot be used: {why}.",
        "Use $class_name and $name only, and $$ for a dollar sign.",
    )
