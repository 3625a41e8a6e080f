"""What a project wants to be done around a run: the functions of that name in its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monarch.databases.environment import Environment


@dataclass(frozen=True)
class HookContext:
    """What a hook is told of a run: where, and the keys of the migrations that are to run."""

    environment: Environment
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Hooks:
    """Plain functions; each that is not there is left out.

    ``before_migrate(context)`` is called before the first migration, and before its backup; what it raises
    stops the run. ``after_migrate(context, result)`` is called when all is done, ``on_failure(context,
    error)`` in its place if anything went wrong after ``before_migrate`` was called.
    """

    before_migrate: Callable[[HookContext], Any] | None = None
    after_migrate: Callable[[HookContext, Any], Any] | None = None
    on_failure: Callable[[HookContext, BaseException], Any] | None = None


NO_HOOKS = Hooks()
