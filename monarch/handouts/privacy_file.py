"""Writing ``migrations/privacy.py``: a new one from a template, or what is new at the end of an old one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template
from types import ModuleType

import monarch.privacy as library
from monarch.errors import ProjectError
from monarch.handouts.suggestions import MaskSuggestions
from monarch.privacy.detection import CollectionSuggestions, Suggestion
from monarch.privacy.load import load_module
from monarch.settings.search import place_at
from monarch.system.atomic_files import write_atomically

_NAME = re.compile(r"[a-z_]+")


def render_new(suggestions: MaskSuggestions) -> str:
    """Return the text of a new file with all of ``suggestions``."""
    template = resources.files("monarch.handouts").joinpath("privacy.py.tmpl")
    blocks = "".join(_render_collection(one, known=False) for one in suggestions.collections)
    names = ["Masks", *sorted(_names_in(suggestions.collections))]
    return Template(template.read_text(encoding="utf-8")).substitute(
        imports=_parenthesized(names), collections=blocks.rstrip("\n")
    )


def render_addition(suggestions: MaskSuggestions, root: Path) -> str:
    """Return what is to be added to the file of the project at ``root``: rules for what is new.

    :raises ProjectError: if the file cannot be read.
    """
    module = load_module(root, file=place_at(root).privacy)
    day = datetime.now(UTC).date().isoformat()
    lines = [f"\n\n# New on {day}: monarch suggest_masks {suggestions.environment}\n"]
    missing = sorted(name for name in _names_in(suggestions.new) if not _has(module, name))
    if missing:
        lines.append(f"from monarch.privacy import {_parenthesized(missing)}  # noqa: E402\n")
    known = set(module.masks)
    lines += [_render_collection(one, known=one.name in known) for one in suggestions.new]
    return "".join(lines)


def write_file(suggestions: MaskSuggestions, root: Path) -> Path:
    """Write the file of the project at ``root``, or what is new at its end; return its path.

    :raises ProjectError: if it cannot be read or written.
    """
    path = root / place_at(root).privacy
    try:
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read()
            added = render_addition(suggestions, root)
            if "\r\n" in text:
                added = added.replace("\n", "\r\n")
            text = text.rstrip() + added
        else:
            text = render_new(suggestions)
        compile(text, str(path), "exec")
        write_atomically(path, text)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}.", "Fix that first.") from error
    return path


def _render_collection(suggested: CollectionSuggestions, *, known: bool) -> str:
    name = repr(suggested.name)
    lines = [f"\n# {name}: {_describe_sample(suggested)}\n"]
    if not suggested.fields:
        return f"{lines[0]}masks[{name}] = {{}}\n"
    lines.append(f"masks[{name}].update({{\n" if known else f"masks[{name}] = {{\n")
    lines += [_render_field(field) for field in suggested.fields]
    lines.append("})\n" if known else "}\n")
    if suggested.unwritable:
        lines.insert(1, f"# {suggested.unwritable} fields have names that no path can have: use @masks.of.\n")
    return "".join(lines)


def _describe_sample(suggested: CollectionSuggestions) -> str:
    if not suggested.documents:
        return "empty"
    if suggested.read >= suggested.documents:
        return f"{suggested.documents:,} documents, all read"
    return f"{suggested.documents:,} documents, {suggested.read:,} of them read"


def _render_field(field: Suggestion) -> str:
    # Only paths can hold anything unusual; repr() escapes what would end the line.
    comment = "; ".join(part for part in (describe_types(field), _one_line(field.reason)) if part)
    return f"    {field.path!r}: {field.rule},  # {comment}\n"


def describe_types(field: Suggestion) -> str:
    """Return how often ``field`` was seen and of which types, for people."""
    share = field.seen / field.read if field.read else 0.0
    percent = "100 %" if field.seen == field.read else f"{min(99, max(1, round(100 * share)))} %"
    names = [name for name, _ in field.types]
    return f"{percent}: {', '.join(names)}" if names else percent


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _names_in(collections: Iterable[CollectionSuggestions]) -> set[str]:
    return {name for one in collections for name in _names_of(one.fields)}


def _names_of(fields: Iterable[Suggestion]) -> Iterator[str]:
    for field in fields:
        found = _NAME.match(field.rule)
        assert found is not None  # every rule begins with a name of the library
        yield found[0]


def _has(module: ModuleType, name: str) -> bool:
    return getattr(module, name, None) is getattr(library, name)


def _parenthesized(names: list[str]) -> str:
    if len(names) <= 6:
        return ", ".join(names)
    return "(\n" + "".join(f"    {name},\n" for name in names) + ")"
