"""The hooks of a project: functions of its settings that are called before and after a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from monarch.databases import describe_error as reason_of
from monarch.databases.environment import Environment
from monarch.errors import Declined, HookFailed, MonarchError, UsageError
from monarch.progress import Progress
from monarch.settings.paths import SETTINGS
from monarch.system.forks import only_this_process
from monarch.system.modules import importable
from monarch.system.tracebacks import describe_error

Result = TypeVar("Result")


@dataclass(frozen=True)
class HookContext:
    """The run that a hook is called for.

    ``environment`` is the one that changes, or that is backed up. ``command`` is "migrate", "migrate_one",
    "rollback", "backup", "restore" or "copy_db". ``migrations`` are the keys of those that will run, or be
    rolled back, in order. ``source`` is the backup that is restored, or the environment that is copied.
    """

    environment: Environment
    migrations: tuple[str, ...] = ()
    command: str = "migrate"
    source: str | None = None


@dataclass(frozen=True)
class Hooks:
    """The functions, each optional.

    ``before_migrate(context)`` is called before the first migration and its backup; an exception stops the
    run. ``after_migrate(context, result)`` is called when all migrations are done. If anything fails after
    ``before_migrate`` was called, ``on_failure(context, error)`` is called instead. ``before_rollback`` and
    ``after_rollback`` are the same for rollbacks. The others are called when a command is done, or
    ``on_failure`` if it fails.

    ``verify(database)`` is called by `drill` with the restored database; an exception fails the drill.
    """

    before_migrate: Callable[[HookContext], Any] | None = None
    after_migrate: Callable[[HookContext, Any], Any] | None = None
    before_rollback: Callable[[HookContext], Any] | None = None
    after_rollback: Callable[[HookContext, Any], Any] | None = None
    after_backup: Callable[[HookContext, Any], Any] | None = None
    after_restore: Callable[[HookContext, Any], Any] | None = None
    after_copy: Callable[[HookContext, Any], Any] | None = None
    on_failure: Callable[[HookContext, BaseException], Any] | None = None
    verify: Callable[[Any], Any] | None = None


NO_HOOKS = Hooks()


@dataclass(frozen=True)
class HookedRun:
    """A run of the project at ``root``, for which its ``hooks`` are called with ``context``."""

    root: Path
    hooks: Hooks
    context: HookContext
    progress: Progress

    def command(self, run: Callable[[], Result], hook: str, so_far: str) -> Result:
        """Do ``run``, call ``hook`` with its result, and return that.

        If anything fails, ``on_failure`` is called, but not if a person declined, or for wrong usage.

        :param so_far: what has happened when ``hook`` is called.
        :raises HookFailed: if ``hook`` fails.
        """
        try:
            result = run()
            self.call(hook, so_far, result)
        except (UsageError, Declined):
            raise
        except BaseException as error:
            self.failed(error)
            raise
        return result

    def call(self, name: str, so_far: str, *arguments: Any) -> None:
        """Call the hook ``name``, if there is one, with the context and ``arguments``.

        :raises HookFailed: if it fails.
        """
        hook = getattr(self.hooks, name)
        if hook is None:
            return
        self.progress.calling(name)
        try:
            with importable(self.root), only_this_process():
                hook(self.context, *arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # SystemExit too: a hook that calls `exit(0)` has not done what the run depends on.
            message = f"{name}() failed: {describe_error(error, reason_of)}. {so_far}".rstrip()
            result = arguments[0] if arguments else None
            raise HookFailed(message, f"Fix it in {SETTINGS}.", result) from error

    def failed(self, error: BaseException) -> None:
        """Call ``on_failure`` with ``error``. If it fails too, that is reported: the first error counts."""
        try:
            self.call("on_failure", "", error)
        except MonarchError as failed:
            self.progress.message(failed.message)
