"""Imports go downward only, and expensive modules are imported on demand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import monarch
from docs.drawing import imported_modules

ROOT = Path(monarch.__file__).parent

# From the bottom up: a module may import from its own layer and from those above it in this list.
LAYERS = (
    ("errors", "version", "amounts", "log", "progress", "system"),
    # Each store and each kind of database reads its own keys, which is why the settings are above them.
    ("stores",),
    # Values and rules; each kind of database applies them to its own documents.
    ("privacy",),
    # The manual's pages, for `monarch help`.
    ("manual",),
    ("databases",),
    ("settings",),
    ("copies", "querysets", "handouts"),
    ("migrations", "backups", "scaffold"),
    ("doctor",),
    ("project",),
    ("pytest_plugin",),
    ("demo",),
    ("commands",),
    ("", "__main__"),
)
# The same for the rooms of each kind of database; "ground" are the modules outside of rooms.
ROOMS = {
    "mongo": (
        "connection",
        "ground",
        "catalog",
        "stream",
        "subset",
        "archive",
        "engines",
        "sources",
        "leaks",
        "masking",
        "swap",
        "embedded",
        "history",
        "health",
        "database",
        "",
    ),
    "postgres": (
        "connection",
        "ground",
        "catalog",
        "archive",
        "subset",
        "tools",
        "sources",
        "swap",
        "history",
        "health",
        "database",
        "",
    ),
}
MIGRATIONS_KNOW_NOT = ("mongo", "load", "pymongo")


def layer(module: str) -> int:
    top = module.removeprefix("monarch").lstrip(".").partition(".")[0]
    return next(number for number, names in enumerate(LAYERS) if top in names)


def is_sample(path: Path) -> bool:
    """Whether a file belongs to a sample project, not to monarch."""
    inside = path.relative_to(ROOT).parts
    return inside[0] == "demo" and "project" in inside[:-1]


MODULES = sorted(path for path in ROOT.rglob("*.py") if not is_sample(path))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_arrow_goes_up(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(part for part in parts if part != "__init__")
    for imported in imported_modules(path):
        if imported.startswith("monarch.") and imported not in ("monarch.echo",):
            assert layer(imported) <= layer(module), f"{module or 'monarch'} imports {imported}"


def name_of(path: Path) -> str:
    """Return the name by which a module is imported."""
    return ".".join(("monarch", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def graph() -> dict[str, set[str]]:
    """Return the monarch modules that each module imports; a package only if a name is imported from it."""
    modules = {name_of(path): path for path in MODULES}
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        imported = {one if one in modules else one.rpartition(".")[0] for one in imported_modules(path)}
        # Its own package does not count: Python has imported it already.
        found[name] = {one for one in imported & modules.keys() if not name.startswith(f"{one}.")}
    return found


def room(module: str, kind: str) -> str | None:
    """Return the room of the package of ``kind`` in which a module is."""
    package = f"monarch.databases.{kind}"
    inside = module.removeprefix(package).lstrip(".").partition(".")[0]
    if not module.startswith(package):
        return None
    return inside if inside in ROOMS[kind] else "ground"


@pytest.mark.parametrize("kind", ROOMS)
def test_no_arrow_goes_up_between_the_rooms(kind: str) -> None:
    up = [
        f"{name} imports {one}"
        for name, imported in graph().items()
        for one in imported
        if (here := room(name, kind)) is not None
        and (there := room(one, kind)) is not None
        and ROOMS[kind].index(there) > ROOMS[kind].index(here)
    ]
    assert up == []


def test_no_modules_import_each_other() -> None:
    """There is no cycle of any length; imports in functions count, too."""
    arrows = graph()
    finished: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' > '.join((*path[path.index(name) :], name))}"
        if name not in finished:
            for one in sorted(arrows[name]):
                visit(one, (*path, name))
            finished.add(name)

    for name in arrows:
        visit(name, ())


def test_rooms_are_small() -> None:
    rooms: dict[Path, int] = {}
    for path in MODULES:
        rooms[path.parent] = rooms.get(path.parent, 0) + 1
    full = {str(folder.relative_to(ROOT)): count for folder, count in rooms.items() if count > 12}
    assert full == {}
    assert rooms[ROOT] <= 8


def test_migrations_know_no_database() -> None:
    for path in (ROOT / "migrations").rglob("*.py"):
        for imported in imported_modules(path):
            assert not any(name in imported.split(".") for name in MIGRATIONS_KNOW_NOT), (path, imported)


def test_migrations_do_not_mention_a_kind_of_database() -> None:
    for path in (ROOT / "migrations").rglob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        assert not any(word in text for word in ("mongo", "bson")), path


def test_only_the_databases_know_pymongo() -> None:
    for path in MODULES:
        if "databases" not in path.parts:
            assert not any(name.partition(".")[0] == "pymongo" for name in imported_modules(path)), path


def test_only_subprocesses_starts_programs() -> None:
    for path in MODULES:
        starts = "Popen(" in path.read_text() or "subprocess.run(" in path.read_text()
        assert starts == (path.name == "subprocesses.py"), path


def loaded_by(code: str) -> set[str]:
    shown = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(run.stderr.split())


def test_importing_monarch_costs_nothing() -> None:
    loaded = loaded_by("import monarch")
    assert {name for name in loaded if name.startswith("monarch")} - {"monarch"} <= {"monarch.version"}
    assert not loaded & {"click", "pymongo", "bson", "boto3", "botocore"}


def test_migrating_does_not_import_copies_and_backups() -> None:
    loaded = loaded_by("import monarch.project")
    others = {
        f"monarch.{name}"
        for name in ("backups", "copies", "querysets", "scaffold", "migrations.trial", "stores")
    }
    assert "monarch.migrations.migrate" in loaded
    assert not others & loaded
    assert not {"pymongo", "boto3"} & loaded


def test_the_command_line_imports_click_and_itself() -> None:
    before, after = loaded_by("import click, __future__"), loaded_by("import monarch.commands")
    ours = {name for name in after if name.startswith("monarch.")}
    assert not {"pymongo", "bson", "boto3", "botocore", "monarch.project", "monarch.settings.load"} & after
    help_shown = [
        "import sys; sys.argv[1:] = ['--help']",
        "import monarch.commands as commands",
        "try: commands.main()",
        "except SystemExit: pass",
    ]
    shown = loaded_by("\n".join(help_shown))
    # An older click asks shutil how wide the terminal is.
    assert not {"pathlib", "urllib.parse", "json", "difflib"} & (shown - before)
    # gettext loads modules to translate Click's texts; monarch cannot change that. The last two are built in.
    assert after - before - ours - {"monarch", "locale", "_locale", "atexit", "gc"} == set()


def test_no_two_public_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
