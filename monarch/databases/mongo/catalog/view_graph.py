"""Which views a server accepts beside each other: it looks at all of them when it creates one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.view_reads import collections_read
from monarch.errors import UsageError

# How many views may be on each other, in every version of the server.
_DEEPEST = 20


def require_accepted_views(coming: Iterable[Collection], staying: Iterable[Collection], target: str) -> None:
    """Check that the views of ``coming`` can be created beside those ``staying`` in ``target``.

    :raises UsageError: if they would read themselves, be too many on each other, or have other collations.
    """
    new = {one.new_name: one for one in coming if one.kind == "view"}
    old = {one.name: one for one in staying if one.kind == "view"}
    views = {**old, **new}
    reads = {name: sorted(collections_read(one) & views.keys()) for name, one in views.items()}
    heights: dict[str, int] = {}
    for name in sorted(views):
        if _height(name, reads, heights, (), target) > _DEEPEST:
            raise UsageError(
                f"The view {name!r} of {target!r} would be on {heights[name] - 1} other views, and MongoDB "
                f"allows {_DEEPEST - 1}.",
                "Leave some of them out: --exclude NAME",
            )
    for name, others in reads.items():
        for other in others:
            if (name in new) != (other in new) and _collation(views[name]) != _collation(views[other]):
                raise UsageError(
                    f"The views {name!r} and {other!r} of {target!r} would have different collations.",
                    _leave_out(name if name in new else other),
                )


def _height(
    name: str, reads: Mapping[str, list[str]], heights: dict[str, int], above: tuple[str, ...], target: str
) -> int:
    """Return how many views are on each other up to ``name``; ``above`` are those that led to it.

    :raises UsageError: if they read themselves.
    """
    if name in above:
        circle = " reads ".join(map(repr, (*above[above.index(name) :], name)))
        raise UsageError(f"Views of {target!r} would read themselves: {circle}.", _leave_out(name))
    if name not in heights:
        found = (_height(one, reads, heights, (*above, name), target) for one in reads[name])
        heights[name] = 1 + max(found, default=0)
    return heights[name]


def _leave_out(name: str) -> str:
    return f"Leave a view out: --exclude {shlex.quote(name)}. Or give it another name: --rename"


def _collation(view: Collection) -> dict[str, Any]:
    # Its version is that of the server's library.
    return {key: value for key, value in view.options.get("collation", {}).items() if key != "version"}
