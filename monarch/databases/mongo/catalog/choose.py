"""Choose collections and indexes by name: which of a source are transferred."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.view_reads import collections_read
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, is_ours
from monarch.databases.selection import Choice
from monarch.errors import UsageError
from monarch.system.spelling import suggest

_HISTORY = (HISTORY, JOURNAL)
_OWN_HISTORY = (
    "The history of the target stays as it was, and what came may be as of other migrations: compare "
    "`monarch list_migrations` of both."
)
_NO_INDEXES = (
    "Indexes were left out, unique ones too, and those that let documents expire: the target does not check "
    "or delete anything by them."
)
# What is useless without each other: GridFS, and what Queryable Encryption keeps beside a collection.
_PAIRS = (("{}.files", "{}.chunks"), ("{}", "enxcol_.{}.esc"), ("{}", "enxcol_.{}.ecoc"))


@dataclass(frozen=True)
class Chosen:
    """The ``collections`` of a choice, the data names of those ``left_out``, and ``notes`` for people."""

    collections: tuple[Collection, ...]
    left_out: frozenset[str]
    notes: tuple[str, ...]


def choose(collections: tuple[Collection, ...], choice: Choice) -> Chosen:
    """Return what ``choice`` takes of ``collections``.

    :raises UsageError: if one of the names does not exist, or the history is left out.
    """
    known = {one.name: one for one in collections}
    _require_known(choice, known)
    taken = {name for name in known if _is_taken(name, choice)}
    _require_names(known, taken, choice)
    renames = dict(choice.rename)
    indexed = _without_indexes(collections, choice)
    return Chosen(
        tuple(replace(one, renamed=renames.get(one.name)) for one in indexed if one.name in taken),
        frozenset(one.data_name for one in collections if one.name not in taken),
        tuple(_describe(known, taken, choice)),
    )


def _is_taken(name: str, choice: Choice) -> bool:
    if name in _HISTORY:
        return not choice.into_existing
    return name not in choice.exclude and (not choice.only or name in choice.only)


def _require_known(choice: Choice, known: Mapping[str, Collection]) -> None:
    for name in choice.exclude:
        if name in _HISTORY:
            raise UsageError(
                f"{name!r} cannot be excluded: without the history, migrations would run again.",
                "To start a new history, run `monarch mark ENVIRONMENT --all --as new` afterwards.",
            )
    for option, names in (("--only", choice.only), ("--exclude", choice.exclude)):
        for name in names:
            if name not in known:
                raise _unknown(option, name, known)
    own = sorted(set(choice.only) & set(_HISTORY))
    if choice.into_existing and own:
        raise UsageError(
            f"{own[0]!r} is not replaced with --into-existing: the target keeps its own history.",
            "Leave it out, or copy without --into-existing.",
        )
    both = sorted(set(choice.only) & set(choice.exclude))
    if both:
        raise UsageError(f"--only and --exclude both name {both[0]!r}.", "Name it once.")


def _unknown(option: str, name: str, known: Iterable[str]) -> UsageError:
    hint = suggest(name, known)
    if "*" in name or "?" in name:
        hint = "Names are taken literally. Repeat the option for each of them."
    return UsageError(f"{option} names {name!r}, which is not there.", hint)


def _require_names(known: Mapping[str, Collection], taken: set[str], choice: Choice) -> None:
    """Check that what is renamed can be, and that all names differ in the target.

    :raises UsageError: if not.
    """
    for name, new in choice.rename:
        if name not in known:
            raise _unknown("--rename", name, known)
        if name not in taken:
            raise UsageError(f"--rename names {name!r}, which is left out.", "Take it too: --only")
        _require_renamable(known[name])
        _require_valid(new)
        if [one for one, _ in choice.rename].count(name) > 1:
            raise UsageError(f"--rename gives {name!r} two names.", "Name it once.")
    names = Counter(choice.new_name(name) for name in taken)
    for name, new in choice.rename:
        if names[new] > 1:
            raise UsageError(
                f"--rename gives {name!r} the name {new!r}, which another one that is taken has.",
                "Give it another name, or leave the other one out: --exclude",
            )
    renamed = {name for name, new in choice.rename if name != new}
    for name in sorted(taken):
        for read in sorted(collections_read(known[name]) & renamed):
            raise UsageError(
                f"The view {name!r} reads {read!r}, to which --rename gives another name.",
                f"Leave the view out: --exclude {shlex.quote(name)}",
            )


def _require_renamable(collection: Collection) -> None:
    if collection.name in _HISTORY or collection.name.startswith("system."):
        raise UsageError(f"{collection.name!r} cannot be renamed: programs know it by its name.")
    if "encryptedFields" in collection.options:
        raise UsageError(
            f"{collection.name!r} cannot be renamed: Queryable Encryption keeps collections beside it.",
            "They go by its name. Copy it without --rename.",
        )


def _require_valid(name: str) -> None:
    """Check that a collection may be called ``name``. Its length is checked with that of the target."""
    if name in _HISTORY or is_ours(name):
        raise UsageError(f"--rename gives a collection the name {name!r}, which is one of monarch's own.")
    wrong = "$" in name or "\0" in name or ".." in name
    if not name or wrong or name.startswith((".", "system.")) or name.endswith("."):
        raise UsageError(
            f"--rename gives a collection the name {name!r}, which MongoDB does not accept.",
            "A name has no $ and no two dots, begins neither with a dot nor with 'system.', and does not end "
            "with a dot.",
        )


def _without_indexes(collections: tuple[Collection, ...], choice: Choice) -> tuple[Collection, ...]:
    """Return ``collections`` without the indexes that are left out.

    :raises UsageError: if one of their names does not exist.
    """
    indexes = {
        f"{one.name}.{index['name']}"
        for one in collections
        for index in one.indexes
        if index["name"] != "_id_"
    }
    for name in choice.exclude_index:
        if name not in indexes:
            raise _unknown("--exclude-index", name, indexes)
    return tuple(
        replace(one, indexes=tuple(index for index in one.indexes if _is_kept(one, index, choice)))
        for one in collections
    )


def _is_kept(collection: Collection, index: Mapping[str, Any], choice: Choice) -> bool:
    if f"{collection.name}.{index['name']}" in choice.exclude_index:
        return False
    return not choice.without_indexes or collection.name in _HISTORY or _is_created(collection, index)


def _is_created(collection: Collection, index: Mapping[str, Any]) -> bool:
    """Whether a server creates ``index`` with ``collection``: since 6.3, one with each time series."""
    if collection.kind != "timeseries":
        return bool(index["name"] == "_id_")
    series = collection.options["timeseries"]
    return list(index["key"].items()) == [(series.get("metaField"), 1), (series["timeField"], 1)]


def _describe(known: Mapping[str, Collection], taken: set[str], choice: Choice) -> Iterator[str]:
    """Yield a sentence for each thing that is incomplete because of ``choice``."""
    if choice.into_existing:
        yield _OWN_HISTORY
    if choice.without_indexes:
        yield _NO_INDEXES
    for name in sorted(taken):
        for read in sorted(collections_read(known[name]) - taken):
            if read in known:
                yield f"The view {name!r} reads {read!r}, which is left out."
        for pair in _PAIRS:
            yield from _describe_pair(name, pair, known, taken)


def _describe_pair(
    name: str, pair: tuple[str, str], known: Mapping[str, Collection], taken: set[str]
) -> Iterator[str]:
    for one, other in (pair, pair[::-1]):
        before, _, after = one.partition("{}")
        stem = name.removeprefix(before).removesuffix(after)
        if one.format(stem) == name and other.format(stem) in known and other.format(stem) not in taken:
            yield f"{name!r} belongs to {other.format(stem)!r}, which is left out."
