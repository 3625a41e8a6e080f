"""Draw the packages of monarch, and the rooms of ``databases/mongo``, from the imports of the source.

Sphinx runs this at each build (conf.py), so the drawings are never older than the source. An arrow means
"imports"; an arrow that others imply is left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1] / "monarch"
# Every package imports these; their arrows would cover the others.
GROUND = {"amounts", "errors", "log", "progress", "version", "system"}
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 140, 40, 24, 52, 16

Graph = dict[str, set[str]]


def imported_modules(path: Path) -> set[str]:
    """Return the modules and names that ``path`` imports at run time, also in functions.

    The architecture tests use this too.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def import_graph(folder: Path, prefix: str) -> Graph:
    """Which of the modules and packages directly in ``folder`` import which others."""
    graph: Graph = {}
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).with_suffix("").parts
        name = inside[0]
        if name.startswith("__") or (inside[0] == "demo" and "project" in inside[:-1]):
            continue
        targets = graph.setdefault(name, set())
        for module in imported_modules(path):
            if module.startswith(f"{prefix}."):
                targets.add(module.removeprefix(f"{prefix}.").partition(".")[0])
    return {name: (targets & graph.keys()) - {name} for name, targets in graph.items()}


def reachable(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    """Everything that ``start`` imports, directly or through others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def reduced(graph: Graph) -> Graph:
    """``graph`` without the arrows that longer ways imply."""
    return {
        name: {
            target
            for target in targets
            if not any(target in reachable(graph, other) for other in targets - {target})
        }
        for name, targets in graph.items()
    }


def rows(graph: Graph) -> list[list[str]]:
    """The names in rows from the top; each row imports from the rows below it."""
    levels: dict[str, int] = {}

    def level(name: str, above: tuple[str, ...] = ()) -> int:
        if name not in levels:
            # A circle would never end. The architecture tests report it; here it only moves a box.
            below = [level(target, (*above, name)) for target in sorted(graph[name]) if target not in above]
            levels[name] = 1 + max(below, default=-1)
        return levels[name]

    for name in graph:
        level(name)
    return [sorted(n for n in graph if levels[n] == height) for height in range(max(levels.values()), -1, -1)]


def draw(graph: Graph, title: str) -> str:
    """``graph`` as an SVG that works on a light and on a dark page."""
    arranged = rows(graph)
    width = max(len(row) for row in arranged) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    height = len(arranged) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    place: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(arranged):
        left = (width - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        for column, name in enumerate(row):
            place[name] = (left + column * (WIDTH + GAP_X), MARGIN + number * (HEIGHT + GAP_Y))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:15px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#16324f}"
        " rect{fill:#e8f1fb;stroke:#4a7fb5;stroke-width:1.5} path{fill:none;stroke:#8795a3;stroke-width:1.5}"
        "</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0L8 4L0 8z" style="fill:#8795a3;stroke:none"/></marker></defs>',
        f'<rect width="{width}" height="{height}" style="fill:#ffffff;stroke:none"/>',
    ]
    for name, targets in sorted(reduced(graph).items()):
        for target in sorted(targets):
            x, y = place[name][0] + WIDTH / 2, place[name][1] + HEIGHT
            to_x, to_y = place[target][0] + WIDTH / 2, place[target][1] - 2
            bend = (to_y - y) / 2
            lines.append(
                f'<path d="M{x} {y}C{x} {y + bend} {to_x} {to_y - bend} {to_x} {to_y}"'
                ' marker-end="url(#end)"/>'
            )
    for name, (x, y) in place.items():
        lines.append(f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>')
        lines.append(
            f'<text x="{x + WIDTH / 2}" y="{y + HEIGHT / 2 + 5}" text-anchor="middle">{escape(name)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def packages() -> str:
    """The packages of monarch."""
    graph = import_graph(ROOT, "monarch")
    shown: Graph = {name: targets - GROUND for name, targets in graph.items() if name not in GROUND}
    return draw(shown, "The packages of monarch and what they import")


def rooms() -> str:
    """The rooms and modules of ``databases/mongo``."""
    graph = import_graph(ROOT / "databases" / "mongo", "monarch.databases.mongo")
    return draw(graph, "The rooms of databases/mongo and what they import")


def write(folder: Path) -> None:
    """Write both drawings into ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, drawing in (("packages.svg", packages()), ("rooms.svg", rooms())):
        path = folder / name
        # An unchanged file keeps its time, and Sphinx does not read its page again.
        if not path.exists() or path.read_text(encoding="utf-8") != drawing:
            path.write_text(drawing, encoding="utf-8")
