"""``--engine``, and how it is shown which one was taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

ENGINES = ("auto", "tools", "native")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def engine_option(function: _Function) -> _Function:
    """``--engine``: what moves the documents."""
    return click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="tools: mongodump and mongorestore; native: pymongo alone; auto: the tools if they are there.",
    )(function)


def by(engine: str, versions: tuple[str, ...]) -> str:
    """An engine with the versions of its programs."""
    return f"{engine} ({', '.join(versions)})"
