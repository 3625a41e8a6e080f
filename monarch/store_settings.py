"""``BACKUPS`` of ``migrations/settings.py``: where backups are kept, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from monarch.errors import SettingsError
from monarch.settings.paths import SETTINGS
from monarch.system.secrets import Secret
from monarch.system.spelling import suggest

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_HIGHEST_PORT = 65_535
_SMALLEST_PART, _LARGEST_PART = 5 << 20, 5 << 30


@dataclass(frozen=True)
class LocalSettings:
    """Backups in a folder."""

    backup_dir: str


@dataclass(frozen=True)
class ObjectLock:
    """For how many days nobody may delete a backup; ``mode`` says whether anybody may all the same."""

    mode: str
    days: int


@dataclass(frozen=True)
class S3Settings:
    """Backups in a bucket. Sizes are in bytes.

    Without keys or a profile, credentials come from boto3's own chain. A ``part_size`` of None grows with the
    number of parts, one that is given is that of all parts.
    """

    bucket_name: str
    aws_access_key_id: str | None = None
    aws_secret_access_key: Secret | None = None
    aws_session_token: Secret | None = None
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None
    addressing_style: str = "auto"
    profile: str | None = None
    role_arn: str | None = None
    storage_class: str | None = None
    sse: str | None = None
    kms_key_id: str | None = None
    part_size: int | None = None
    max_concurrency: int = 4
    object_lock: ObjectLock | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    # What is named in the settings and has no value on this machine.
    empty: frozenset[str] = frozenset()

    smallest_part = 16 << 20

    @property
    def on_create(self) -> dict[str, Any]:
        """What is said of an object when it is begun, in S3's words."""
        said: dict[str, Any] = {
            "StorageClass": self.storage_class,
            "ServerSideEncryption": self.sse,
            "SSEKMSKeyId": self.kms_key_id,
            "Tagging": urlencode(self.tags),
        }
        if self.object_lock is not None:
            until = datetime.now(UTC) + timedelta(days=self.object_lock.days)
            said |= {"ObjectLockMode": self.object_lock.mode, "ObjectLockRetainUntilDate": until}
        return {name: value for name, value in said.items() if value}


def parse_store(entries: object) -> LocalSettings | S3Settings | None:
    """What ``BACKUPS`` says; None if there is none.

    :raises SettingsError: naming what is wrong, with the nearest right name.
    """
    if entries is None or entries == {}:
        return None
    if not isinstance(entries, Mapping):
        raise SettingsError(f"BACKUPS in {SETTINGS} is not a dict.", "It holds 'LOCAL' or 'S3'.")
    for kind in entries:
        if kind not in _KINDS:
            raise SettingsError(f"BACKUPS knows no {kind!r}.", suggest(str(kind), _KINDS))
    if len(entries) > 1:
        raise SettingsError("BACKUPS holds both 'LOCAL' and 'S3'.", "Keep the one you use.")
    ((kind, entry),) = entries.items()
    needed, parsers = _KINDS[kind]
    if not isinstance(entry, Mapping):
        raise SettingsError(f"BACKUPS[{kind!r}] is not a dict.", f"Like: {{{kind!r}: {{{needed!r}: '…'}}}}")
    values = {}
    empty = frozenset(key for key, value in entry.items() if value is None or value == "")
    for key, value in entry.items():
        if key not in parsers:
            raise SettingsError(f"BACKUPS[{kind!r}] knows no {key!r}.", suggest(str(key), parsers))
        # A variable that is not set on this machine is as if nothing was said.
        if key not in empty:
            values[key] = parsers[key](f"BACKUPS[{kind!r}]: {key!r}", value)
    if needed not in values:
        raise SettingsError(f"BACKUPS[{kind!r}] has no {needed!r}.", "Say where backups go.")
    if kind == "LOCAL":
        return LocalSettings(**values)
    return _together(S3Settings(**values, empty=empty))


def _together(settings: S3Settings) -> S3Settings:
    """See that the keys go with one another."""
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        missing = "aws_secret_access_key" if settings.aws_access_key_id else "aws_access_key_id"
        raise SettingsError(
            f"BACKUPS['S3'] has one of the two keys and no {missing!r}.",
            "Set both, or none: then they are found where the AWS command line finds them.",
        )
    if settings.profile and settings.aws_access_key_id:
        raise SettingsError("BACKUPS['S3'] has both keys and a 'profile'.", "Keep the one you use.")
    if settings.kms_key_id and settings.sse not in ("aws:kms", "aws:kms:dsse"):
        raise SettingsError("BACKUPS['S3'] has a 'kms_key_id' without KMS.", "Say 'sse': 'aws:kms' as well.")
    return settings


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{what} is not a text.", "Write it as 'text'.")
    return value


def _key(what: str, value: object) -> str:
    text = _text(what, value)
    if not re.fullmatch(r"[!-~]+", text):
        raise SettingsError(
            f"{what} has a space, a line's end or the like in it.", "No key has. Take it out."
        )
    return text


def _secret(what: str, value: object) -> Secret:
    return Secret(_key(what, value))


def _bucket(what: str, value: object) -> str:
    text = _text(what, value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) and not text.startswith("arn:"):
        raise SettingsError(
            f"{what}: {text!r} cannot be the name of a bucket.",
            "It is 3 to 63 small letters, digits, dots and dashes; a folder in it is the 'prefix'.",
        )
    return text


def _prefix(what: str, value: object) -> str:
    parts = [part for part in _text(what, value).split("/") if part]
    if any(part in (".", "..") or re.search(r"[\\\x00-\x1f\x7f]", part) for part in parts):
        raise SettingsError(f"{what} is not a folder's name that every server takes.", "Like: 'team/app'.")
    return "".join(f"{part}/" for part in parts)


def _endpoint(what: str, value: object) -> str:
    text = _text(what, value)
    found = re.fullmatch(r"https?://([\w.-]+|\[[0-9a-f:]+\])(:(\d{1,5}))?/?", text, re.IGNORECASE)
    if not found or int(found[3] or 0) > _HIGHEST_PORT:
        raise SettingsError(f"{what} is not the address of a server.", "Like: 'https://s3.example.com:9000'.")
    return text.rstrip("/")


def _storage_class(what: str, value: object) -> str:
    text = _text(what, value)
    if text in ("GLACIER", "DEEP_ARCHIVE"):
        raise SettingsError(
            f"{what}: what is in {text} takes hours to be read, and monarch reads to list and to verify.",
            "Take 'GLACIER_IR', from which one can read at once.",
        )
    return text


def _one_of(*words: str) -> Callable[[str, object], str]:
    def parse(what: str, value: object) -> str:
        if value not in words:
            raise SettingsError(
                f"{what} is not one of {', '.join(map(repr, words))}.", suggest(str(value), words)
            )
        return str(value)

    return parse


def _number(what: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SettingsError(f"{what} is not a number from {least:,} to {most:,}.", "Write it as 4.")
    return value


def _threads(what: str, value: object) -> int:
    return _number(what, value, 1, 64)


def _size(what: str, value: object) -> int:
    found = re.fullmatch(r"(\d+) ?([KMG]i?B)?", str(value), re.IGNORECASE)
    size = int(found[1]) * _UNITS[(found[2] or "").upper()] if found and not isinstance(value, bool) else 0
    if not _SMALLEST_PART <= size <= _LARGEST_PART:
        raise SettingsError(f"{what} is not a size from 5 MiB to 5 GiB.", "Write it as '64MiB', or in bytes.")
    return size


def _lock(what: str, value: object) -> ObjectLock:
    if not isinstance(value, Mapping) or set(value) != {"mode", "days"}:
        raise SettingsError(
            f"{what} is not a dict of 'mode' and 'days'.", "{'mode': 'GOVERNANCE', 'days': 30}"
        )
    mode = _one_of("GOVERNANCE", "COMPLIANCE")(f"{what}: 'mode'", value["mode"])
    return ObjectLock(mode, _number(f"{what}: 'days'", value["days"], 1, 36_500))


def _tags(what: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) for item in value.items() for text in item
    ):
        raise SettingsError(f"{what} is not a dict of texts.", "Like: {'team': 'dogs'}.")
    return dict(value)


_Parsers = Mapping[str, Callable[[str, object], Any]]
_S3: _Parsers = {
    "bucket_name": _bucket,
    "aws_access_key_id": _key,
    "aws_secret_access_key": _secret,
    "aws_session_token": _secret,
    "prefix": _prefix,
    "region": _text,
    "endpoint_url": _endpoint,
    "addressing_style": _one_of("auto", "path", "virtual"),
    "profile": _text,
    "role_arn": _text,
    "storage_class": _storage_class,
    "sse": _one_of("AES256", "aws:kms", "aws:kms:dsse"),
    "kms_key_id": _text,
    "part_size": _size,
    "max_concurrency": _threads,
    "object_lock": _lock,
    "tags": _tags,
}
# What each kind of store needs, and all that it takes.
_KINDS: Mapping[str, tuple[str, _Parsers]] = {
    "LOCAL": ("backup_dir", {"backup_dir": _text}),
    "S3": ("bucket_name", _S3),
}
