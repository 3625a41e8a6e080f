"""Files with environment variables, as python-dotenv reads them: for ``.env`` and ``--env-file``."""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from monarch.errors import SettingsError
from monarch.settings.credentials import learn
from monarch.settings.paths import EnvFile, Place

_NAME = "ENV_FILE"
# More than any such file holds.
_LARGEST = 1_000_000
# Pipes, which can be read once: the variables are set since.
_read: set[Path] = set()


def find_env_file(place: Place, source: bytes) -> EnvFile | None:
    """Return the file that is read before the settings, whose text is ``source``; None if there is none.

    One that was named by option is read instead of others. The settings are read before ``pyproject.toml``.
    """
    if place.env_file is not None and place.env_file.required:
        return place.env_file
    named = _literal(source) if _NAME.encode() in source else None
    if named is not None:
        return EnvFile(place.root / Path(named).expanduser(), f"{_NAME} in {place.settings.as_posix()}")
    return place.env_file


def load_env_file(file: EnvFile) -> None:
    """Set the variables of ``file`` that are not set yet.

    :raises SettingsError: if it cannot be used. The message has no text of the file.
    """
    content = _read_file(file)
    if not content:
        return
    text = _decode(file, content)
    with _refusing_lines(file):
        try:
            from dotenv import dotenv_values, load_dotenv
        except ImportError:
            raise SettingsError(
                f"{file.path} cannot be read without python-dotenv ({file.asked_by}).",
                f"Install it: `{quote(sys.executable)} -m pip install 'monarch[dotenv]'`.",
            ) from None
        for name, value in dotenv_values(stream=io.StringIO(text)).items():
            learn(name, value)
        load_dotenv(stream=io.StringIO(text))


def hint_for_variables(place: Place, source: bytes) -> str | None:
    """Return a hint for a person who misses a variable: where one may be set; None if there is none.

    :param source: the text of the settings.
    """
    file = find_env_file(place, source)
    if file is None:
        if (place.root / ".env").is_file() and b"dotenv" not in source:
            return "There is a .env: to use it, add `ENV_FILE = '.env'` to the settings, or --env-file .env"
        return None
    return None if file.path.exists() else f"There is no {file.path} ({file.asked_by})."


def _read_file(file: EnvFile) -> bytes | None:
    try:
        if file.path in _read or not (file.required or file.path.exists()):
            return None
        if file.path.exists() and not file.path.is_file():
            _read.add(file.path)
        with file.path.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise SettingsError(
            f"{file.path} cannot be read: {error.strerror} ({file.asked_by}).",
            "Name a file that you may read.",
        ) from None
    if len(content) > _LARGEST:
        raise SettingsError(
            f"{file.path} has more than {_LARGEST // 1_000_000} MB ({file.asked_by}).",
            "Name a file with lines such as NAME=value.",
        )
    return content


def _decode(file: EnvFile, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong_line(file, content.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    if "\0" in text:  # also UTF-16 without its mark
        raise _wrong_line(file, text.count("\n", 0, text.index("\0")) + 1, "has a zero byte")
    return text


def _wrong_line(file: EnvFile, line: int, what: str) -> SettingsError:
    return SettingsError(
        f"{file.path}, line {line}: this {what} ({file.asked_by}).",
        "Write lines such as NAME=value, with quotes around what has spaces, and save the file as UTF-8.",
    )


@contextmanager
def _refusing_lines(file: EnvFile) -> Iterator[None]:
    """Refuse a line that python-dotenv cannot read: it says so in its log, and goes on without the line."""
    import logging

    lines: list[int] = []

    def note(record: logging.LogRecord) -> bool:
        lines.extend(one for one in record.args or () if isinstance(one, int))
        return False

    logger = logging.getLogger("dotenv.main")
    logger.addFilter(note)
    try:
        yield
    finally:
        logger.removeFilter(note)
    if lines:
        raise _wrong_line(file, lines[0], "is not NAME=value")


def _literal(source: bytes) -> str | None:
    """Return the text that is assigned to ENV_FILE at the top level; None if there is none.

    Another expression is the project's own, such as the argument of its own ``load_dotenv()``.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None  # which executing them reports
    found = None
    for line in tree.body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == _NAME for one in targets):
            value = getattr(line, "value", None)
            found = value.value if isinstance(value, ast.Constant) else None
    return found if isinstance(found, str) and found else None
