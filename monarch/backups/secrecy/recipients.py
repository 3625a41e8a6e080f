"""Recipients: the public keys for which backups are encrypted."""

from __future__ import annotations

import re
from typing import Any

from monarch.backups.secrecy.age import age_library
from monarch.errors import SettingsError, UsageError

_SECRET = re.compile(r"AGE-(SECRET-KEY|PLUGIN)|PRIVATE KEY", re.IGNORECASE)
_AGE, _SSH = "age1", ("ssh-ed25519", "ssh-rsa")
_SHOWN = 100  # characters
_WHAT = "BACKUPS['encrypt']: 'recipients'"
_KEYS = "Use public keys: 'age1…' (age-keygen -y KEYFILE prints it), or a line 'ssh-ed25519 …'."


def is_secret_key(text: str) -> bool:
    """Whether ``text`` holds a private key, which must not be printed."""
    return _SECRET.search(text) is not None


def read_recipients(value: object) -> tuple[str, ...]:
    """Return the recipients in ``value``, which is from the settings: without comments and repetitions.

    :raises SettingsError: naming the first that is none. A private key is not printed.
    """
    if not isinstance(value, list | tuple) or not value:
        raise SettingsError(f"{_WHAT} is not a list of public keys.", _KEYS)
    found = [_read(number, one) for number, one in enumerate(value, 1)]
    return tuple(dict.fromkeys(found))


def _read(number: int, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{_WHAT}: number {number} is not a text.", _KEYS)
    if is_secret_key(value):
        raise SettingsError(
            f"{_WHAT}: number {number} is a private key.",
            "Anybody who can read the settings could read the backups. Make a new key, and give its public "
            "part: age-keygen -y KEYFILE",
        )
    kind, *rest = value.split()
    text = kind.lower() if kind.lower().startswith(_AGE) else " ".join([kind, *rest[:1]])
    if not text.startswith((_AGE, *_SSH)):
        raise SettingsError(f"{_WHAT}: number {number} is not a public key of age or SSH.", _KEYS)
    try:
        parse_recipient(text)
    except ValueError as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise SettingsError(
            f"{_WHAT}: {shown!r} is not a valid public key ({error}).",
            "Check that all of it was copied. Keys of age plugins cannot be used.",
        ) from None
    except UsageError:
        pass  # without pyrage nothing is encrypted, but backups can be listed and verified
    return text


def parse_recipient(text: str) -> Any:
    """Return the recipient of pyrage with this public key.

    :raises ValueError: if it is none.
    :raises UsageError: if pyrage is not installed.
    """
    library = age_library()
    kind = library.ssh if text.startswith(_SSH) else library.x25519
    try:
        return kind.Recipient.from_str(text)
    except library.RecipientError as error:
        raise ValueError(str(error)) from None
