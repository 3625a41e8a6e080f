"""Functions of the settings that monarch calls for the names of databases."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from monarch.databases import describe_error as reason_of
from monarch.databases import find_kind
from monarch.databases.environment import Environment
from monarch.errors import SettingsError
from monarch.settings.credentials import learn_frames, learning
from monarch.system.forks import only_this_process
from monarch.system.modules import importable
from monarch.system.tracebacks import describe_error


def with_guarded_function(environment: Environment, root: Path) -> Environment:
    """Return ``environment`` so that a function in its ``db_name`` runs as the settings do.

    It may import modules of the project. What it prints goes to standard error. Its errors name it, and show
    no secrets.
    """
    databases = environment.databases
    if databases is None or databases.function is None:
        return environment
    return replace(
        environment, databases=replace(databases, function=_guarded(environment, databases.function, root))
    )


def _guarded(
    environment: Environment, function: Callable[[], tuple[str, ...]], root: Path
) -> Callable[[], tuple[str, ...]]:
    def call() -> tuple[str, ...]:
        called = f"Environment {environment.name!r}: {environment.databases}"
        try:
            with importable(root), learning(), redirect_stdout(sys.stderr), only_this_process():
                names = function()
            for name in names:
                find_kind(environment.kind).check_database(name)
        except KeyboardInterrupt:
            raise
        except SettingsError as error:
            raise SettingsError(f"Environment {environment.name!r}: {error.message}.", error.hint) from None
        except BaseException as error:  # SystemExit too
            learn_frames(error.__traceback__, root)
            raise SettingsError(
                f"{called} failed: {describe_error(error, reason_of)}", "Check that function of the settings."
            ) from error
        return names

    return call
