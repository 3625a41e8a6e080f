"""Reading ``migrations/settings.py`` into `Settings`.

The file is Python and is executed by its path in a new module, as flask's ``from_pyfile`` does: nothing of it
stays in ``sys.modules`` or ``sys.path``.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from monarch.databases.environment import Environment
from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment
from monarch.settings.hooks import NO_HOOKS, Hooks
from monarch.settings.paths import SETTINGS, where_else
from monarch.system.modules import importable
from monarch.system.secrets import Secret, redact
from monarch.system.spelling import nearest, suggest

if TYPE_CHECKING:
    from monarch.stores.base import StoreSettings

# No file has this name, so tracebacks do not show lines of the settings, which may contain a password.
_SHOWN = f"<{SETTINGS}>"
_SECRET_VARIABLE = re.compile("PASS|SECRET|TOKEN|KEY|CREDENTIAL|URI|DSN", re.IGNORECASE)
# Shorter values are often ordinary words, which messages contain for other reasons.
_LONG_ENOUGH = 8


@dataclass(frozen=True)
class Settings:
    """The contents of ``migrations/settings.py``. ``store`` is None if it has no ``BACKUPS``."""

    environments: tuple[Environment, ...]
    store: StoreSettings | None = None
    hooks: Hooks = NO_HOOKS

    def environment(self, name: str) -> Environment:
        """Return the environment called ``name``.

        :raises SettingsError: if there is none, naming the nearest.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        raise SettingsError(
            f"There is no environment {name!r} in {SETTINGS}.",
            suggest(name, [environment.name for environment in self.environments]),
        )


def load_settings(root: Path) -> Settings:
    """Execute ``migrations/settings.py`` below ``root`` and read what it defines.

    :raises SettingsError: if it is missing, cannot be read or executed, or defines something wrong.
    """
    from monarch.stores import parse_store

    module = _execute(root)
    store = parse_store(getattr(module, "BACKUPS", None))
    return Settings(_environments(module), store, _hooks(module))


def _hooks(module: ModuleType) -> Hooks:
    found = {field.name: getattr(module, field.name, None) for field in fields(Hooks)}
    for name, hook in found.items():
        if hook is not None and not callable(hook):
            raise SettingsError(
                f"{name} in {SETTINGS} is not a function.", "See the manual: Migrations, Hooks."
            )
    return Hooks(**found)


def _execute(root: Path) -> ModuleType:
    path = root / SETTINGS
    try:
        source = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(f"There is no {SETTINGS} here ({root}).", where_else(root)) from None
    except OSError as error:
        raise SettingsError(
            f"{SETTINGS} cannot be read: {error.strerror}.", "Make it a file that you may read."
        ) from None
    module = ModuleType("monarch_settings")
    module.__file__ = str(path)
    _learn_secrets()
    try:
        # What it prints must not end up in the output for programs.
        with importable(root), redirect_stdout(sys.stderr):
            exec(compile(source, _SHOWN, "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except NameError as error:
        # The name may be a password whose quotes are missing: do not show it.
        raise _not_executed(error) from None
    except BaseException as error:
        raise _not_executed(error) from error
    return module


def _learn_secrets() -> None:
    """Redact the values of secret variables, which an error of the settings may quote."""
    for name, value in os.environ.items():
        if _SECRET_VARIABLE.search(name) and len(value) >= _LONG_ENOUGH:
            Secret(value)


def _not_executed(error: BaseException) -> SettingsError:
    frames = traceback.extract_tb(error.__traceback__)
    line = next((f.lineno for f in reversed(frames) if f.filename == _SHOWN), None)
    if isinstance(error, SyntaxError) and error.filename == _SHOWN:
        line, error.text = error.lineno, None
    place = f"{SETTINGS}, line {line}" if line else str(SETTINGS)
    if isinstance(error, KeyError):
        message = f"{place}: there is no {error.args[0]!r}." if error.args else f"{place}: KeyError."
        hint = "If it is an environment variable, set it, or read it with os.environ.get()."
        return SettingsError(redact(message), hint)
    if isinstance(error, SyntaxError):
        reason = f"SyntaxError: {error.msg}"
    elif isinstance(error, NameError):
        reason = "NameError: a name is not defined. Are the quotes of a text missing?"
    else:  # this works even if str() of the error fails
        reason = "".join(traceback.format_exception_only(error))
    return SettingsError(" ".join(f"{place}: {redact(reason)}".split()), "Fix that line and try again.")


def _environments(module: ModuleType) -> tuple[Environment, ...]:
    entries = getattr(module, "ENVIRONMENTS", None)
    if entries is None:
        near = nearest("ENVIRONMENTS", [name for name in vars(module) if not name.startswith("__")])
        hint = f"Rename {near!r} if that is it." if near else "See the manual: Settings."
        raise SettingsError(f"{SETTINGS} does not define ENVIRONMENTS.", hint)
    if not isinstance(entries, Mapping) or not entries:
        raise SettingsError(
            f"ENVIRONMENTS in {SETTINGS} is not a dict with at least one environment.",
            "Write it like ENVIRONMENTS = {'development': {…}}.",
        )
    return tuple(parse_environment(name, entry) for name, entry in entries.items())
