"""Learn which values are secrets, so that no message shows them: what the settings read, and what they name.

A library such as python-dotenv puts a password into the environment while the settings run; others, such as
python-decouple, only return it. So the environment is looked at after the settings ran, also if they failed,
and so are the files that were opened meanwhile, and the names that the settings have bound.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from monarch.system.secrets import Secret

_PASSWORD = re.compile("PASS|.PWD|SECRET|CREDENTIAL", re.IGNORECASE)
_TOKEN = re.compile("TOKEN|KEY|URI|DSN", re.IGNORECASE)
# Shorter values are often ordinary words, which messages contain for other reasons.
_SHORTEST_PASSWORD, _SHORTEST_TOKEN = 4, 8
_ORDINARY = frozenset(("true", "false", "none", "null", "localhost", "development", "production", "staging"))
_SEPARATOR = re.compile("[:=]")
_NAME = re.compile(r"[\w.\-]+")
_USERINFO = re.compile(r"[A-Za-z0-9+.-]://[^/\s:@]*:(\S+)@")
# No file of settings is larger.
_LARGEST = 256_000
_DEEPEST, _MOST = 5, 20_000
_CODE = (".py", ".pyc", ".so", ".pyd", ".zip")
_INSTALLED = (sys.prefix, sys.base_prefix)

_opened: set[str] | None = None
_hooked = False


def learn(name: str, value: object) -> None:
    """Redact ``value``, which has this ``name``, if one of them looks like that of a secret."""
    reveal = getattr(type(value), "get_secret_value", None)  # pydantic's
    if callable(reveal):
        name, value = "SECRET", reveal(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool) and _PASSWORD.search(name):
        value = str(value)
    if not isinstance(value, str):
        return
    for found in _USERINFO.finditer(value):
        if len(found[1]) >= _SHORTEST_PASSWORD:
            Secret(found[1])
    shortest = (
        _SHORTEST_PASSWORD if _PASSWORD.search(name) else _SHORTEST_TOKEN if _TOKEN.search(name) else None
    )
    if shortest is not None and len(value) >= shortest and not _is_ordinary(value):
        Secret(value)


def _is_ordinary(value: str) -> bool:
    # SSH_ASKPASS and its like name a program.
    # Not by pathlib, which raises for a text that is too long for a path, such as a key that begins so.
    return value.lower() in _ORDINARY or (value.startswith("/") and os.path.exists(value))  # noqa: PTH110


@contextmanager
def learning() -> Iterator[None]:
    """Learn the secrets of the environment variables and of the files that are read in this context."""
    global _opened, _hooked
    if not _hooked:
        sys.addaudithook(_note_opened)
        _hooked = True
    _learn_variables()
    _opened = set()
    try:
        yield
    finally:
        opened, _opened = _opened, None
        _learn_variables()
        for name in sorted(opened):
            _learn_file(Path(name))


def learn_module(module: ModuleType) -> None:
    """Learn the secrets among the names that ``module`` has bound."""
    _learn_values(vars(module))


def learn_frames(trace: TracebackType | None, root: Path) -> None:
    """Learn the secrets among the variables of the project's own functions in a traceback."""
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename.startswith(str(root)):
            _learn_values(dict(frame.f_locals))
        trace = trace.tb_next


def _learn_variables() -> None:
    for name, value in os.environ.items():
        learn(name, value)


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is None or event != "open":
        return
    path = arguments[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if isinstance(path, str) and not path.endswith(_CODE) and not path.startswith(_INSTALLED):
        _opened.add(path)


def _learn_file(path: Path) -> None:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return
    if "\n" not in text.strip():  # such as /run/secrets/db_password
        learn(f"SECRET {path.name}" if "secrets" in path.parts else path.name, text.strip())
    if path.suffix == ".json":
        with suppress(ValueError):
            _learn_values({path.name: json.loads(text)})
    for line in text.splitlines():
        _learn_line(line)


def _learn_line(line: str) -> None:
    """Learn a line such as ``export NAME="value"``, ``name = value`` or ``"name": "value",``."""
    before, *rest = _SEPARATOR.split(line, maxsplit=1)
    name = before.strip().removeprefix("export ").strip(" \t\"'{,[-")
    if rest and _NAME.fullmatch(name):
        value = rest[0].strip().rstrip(",}] \t")
        learn(name, value.strip("\"'"))
        learn(name, value.partition(" #")[0].strip().strip("\"'"))


def _learn_values(values: Mapping[Any, Any]) -> None:
    todo = [(str(name), value, 0) for name, value in values.items()]
    seen: set[int] = set()
    while todo and len(seen) < _MOST:
        name, value, depth = todo.pop()
        if id(value) in seen or depth > _DEEPEST:
            continue
        seen.add(id(value))
        # A value may be anything, such as a client or Django's lazy settings, which raise when looked at.
        with suppress(Exception):
            todo += [(inner, one, depth + 1) for inner, one in _inside(name, value)]


def _inside(name: str, value: Any) -> list[tuple[str, Any]]:
    """Learn ``value``, or return the values in it with their names."""
    kind = type(value)
    if issubclass(kind, str | bytes | int) or hasattr(kind, "get_secret_value"):
        learn(name, value)
    elif issubclass(kind, ModuleType | type):
        pass
    elif issubclass(kind, Mapping):
        return [(str(key), one) for key, one in value.items()]
    elif issubclass(kind, list | tuple | set | frozenset):
        return [(name, one) for one in value]
    else:
        return [(str(key), one) for key, one in object.__getattribute__(value, "__dict__").items()]
    return []
