"""Reading ``migrations/settings.py`` into `Settings`.

The file is imported as ``migrations.settings``, as the project's own code would import it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from monarch.databases.environment import Environment
from monarch.databases.several import SEPARATOR
from monarch.errors import SettingsError, UnknownEnvironment
from monarch.settings.credentials import learn_frames, learn_module, learning
from monarch.settings.environments import parse_environment, share_privacy
from monarch.settings.hooks import Hooks
from monarch.settings.paths import SETTINGS, Place
from monarch.settings.search import place_at, where_else
from monarch.system.forks import only_this_process
from monarch.system.modules import execute_file, hint_for
from monarch.system.secrets import redact
from monarch.system.spelling import nearest, suggest_carefully
from monarch.system.tracebacks import describe_error, error_line, hide_lines_of

if TYPE_CHECKING:
    from monarch.stores.base import StoreSettings


@dataclass(frozen=True)
class Settings:
    """The contents of ``migrations/settings.py``: ``backups`` and ``functions`` as they stand there.

    What is wrong in one part is an error when that part is used, so that it does not break the others.
    """

    environments: tuple[Environment, ...]
    backups: object = None
    functions: Mapping[str, object] = field(default_factory=dict)

    @property
    def store(self) -> StoreSettings | None:
        """The store for backups; None if there is no ``BACKUPS``.

        :raises SettingsError: if ``BACKUPS`` is wrong.
        """
        from monarch.stores import parse_store

        return parse_store(self.backups)

    @property
    def hooks(self) -> Hooks:
        """The hooks of the project.

        :raises SettingsError: if one of them cannot be called.
        """
        for name, hook in self.functions.items():
            if hook is not None and not callable(hook):
                raise SettingsError(
                    f"{name} in {SETTINGS} is not a function.", "See the manual: Migrations, Hooks."
                )
        return Hooks(**cast("dict[str, Any]", self.functions))

    def environment(self, name: str) -> Environment:
        """Return the environment called ``name``, or the single one that ``ENVIRONMENT/DATABASE`` means.

        :raises SettingsError: if there is none, naming the nearest.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        if SEPARATOR in name:
            from monarch.databases.several.members import find_environment

            found = find_environment(self.environments, name)
            if found is not None:
                return found
        raise UnknownEnvironment(
            f"There is no environment {name!r} in {SETTINGS}.",
            suggest_carefully(name, [environment.name for environment in self.environments]),
        )


def load_settings(root: Path) -> Settings:
    """Execute the settings of the project at ``root`` and read what they define.

    Variables of the file that they or ``pyproject.toml`` name, or that was chosen, are set before.

    :raises SettingsError: if it is missing, cannot be read or executed, or defines something wrong.
    """
    module = _execute(place_at(root))
    functions = {name: getattr(module, name, None) for name in (one.name for one in fields(Hooks))}
    return Settings(_environments(module, root), getattr(module, "BACKUPS", None), functions)


def _execute(place: Place) -> ModuleType:
    path = place.root / place.settings
    source = _read(place)
    hide_lines_of(path)
    if place.env_file is not None or b"ENV_FILE" in source:
        from monarch.settings.env_file import find_env_file, load_env_file

        if (env_file := find_env_file(place, source)) is not None:
            with learning():
                load_env_file(env_file)
    try:
        # What it prints must not end up in the output for programs.
        with learning(), redirect_stdout(sys.stderr), only_this_process():
            module = execute_file(path, place.root)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        learn_frames(error.__traceback__, place.root)
        # The name in a NameError may be a password whose quotes are missing: do not show it.
        raise _not_executed(place, source, error) from (None if isinstance(error, NameError) else error)
    learn_module(module)
    return module


def _read(place: Place) -> bytes:
    try:
        with (place.root / place.settings).open("rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"There is no {place.settings} here ({place.root}).", where_else(place.root)
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{place.settings} cannot be read: {error.strerror}.", "Make it a file that you may read."
        ) from None


def _not_executed(place: Place, source: bytes, error: BaseException) -> SettingsError:
    path = place.root / place.settings
    line = error_line(path, error)
    where = f"{place.settings}, line {line}" if line else str(place.settings)
    if isinstance(error, KeyError):
        message = f"{where}: there is no {error.args[0]!r}." if error.args else f"{where}: KeyError."
        hint = "If it is an environment variable, set it, or read it with os.environ.get()."
        from monarch.settings.env_file import hint_for_variables

        more = hint_for_variables(place, source)
        return SettingsError(redact(message), f"{hint} {more}" if more else hint)
    if isinstance(error, NameError):
        reason = "NameError: a name is not defined. Are the quotes of a text missing?"
    else:
        reason = describe_error(error)
    return SettingsError(f"{where}: {reason}", hint_for(error))


def _environments(module: ModuleType, root: Path) -> tuple[Environment, ...]:
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
    parsed = [_with_variables(parse_environment(name, entry), module) for name, entry in entries.items()]
    if any(one.databases is not None and one.databases.function is not None for one in parsed):
        from monarch.settings.functions import with_guarded_function

        parsed = [with_guarded_function(one, root.resolve()) for one in parsed]
    return share_privacy(parsed)


def _with_variables(environment: Environment, module: ModuleType) -> Environment:
    """Return ``environment`` with the variables from which the settings take the key that it lacks."""
    if environment.missing is None:
        return environment
    from monarch.settings.variables import unset_variables

    path = Path(str(module.__file__))
    return replace(environment, variables=unset_variables(path, environment.name, environment.missing))
