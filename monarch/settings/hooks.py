"""The hooks of a project: functions of its settings that are called before and after a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monarch.databases.environment import Environment


@dataclass(frozen=True)
class HookContext:
    """The run that a hook is called for: its environment, and the keys of the migrations that will run."""

    environment: Environment
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Hooks:
    """The functions, each optional.

    ``before_migrate(context)`` is called before the first migration and its backup; an exception stops the
    run. ``after_migrate(context, result)`` is called when all migrations are done. If anything fails after
    ``before_migrate`` was called, ``on_failure(context, error)`` is called instead.
    """

    before_migrate: Callable[[HookContext], Any] | None = None
    after_migrate: Callable[[HookContext, Any], Any] | None = None
    on_failure: Callable[[HookContext, BaseException], Any] | None = None


NO_HOOKS = Hooks()
