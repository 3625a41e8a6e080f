"""``BACKUPS = {'S3': {…}}``: the keys of a bucket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from monarch.errors import SettingsError
from monarch.stores.base import Store, StoreSettings
from monarch.stores.keys import KeyParser, one_of, parse_keys, parse_number, parse_text
from monarch.system.secrets import Secret

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
_HIGHEST_PORT = 65_535
_SMALLEST_PART, _LARGEST_PART = 5 << 20, 5 << 30


@dataclass(frozen=True)
class ObjectLock:
    """For how many days a backup cannot be deleted. ``mode`` is S3's, GOVERNANCE or COMPLIANCE."""

    mode: str
    days: int


@dataclass(frozen=True)
class S3Settings(StoreSettings):
    """Backups in a bucket. Sizes are in bytes.

    Without keys or a profile, credentials come from boto3's own chain. With a ``part_size`` all parts have
    that size; with None the size grows with the number of parts. ``empty`` are the keys that are in the
    settings and have no value on this machine.
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
    ca_bundle: str | None = None
    empty: frozenset[str] = frozenset()

    smallest_part = 16 << 20

    def open(self, root: Path) -> Store:
        from monarch.stores.s3.store import S3Store

        if self.ca_bundle is None:
            return S3Store(self)
        return S3Store(replace(self, ca_bundle=_find_certificates(root, self.ca_bundle)))

    @property
    def addressing(self) -> str:
        """Return the style for botocore. Servers below a path have no host for each bucket."""
        below_a_path = "/" in (self.endpoint_url or "").partition("://")[2]
        return "path" if below_a_path and self.addressing_style == "auto" else self.addressing_style

    @property
    def on_create(self) -> dict[str, Any]:
        """Return the arguments of S3's CreateMultipartUpload."""
        arguments: dict[str, Any] = {
            "StorageClass": self.storage_class,
            "ServerSideEncryption": self.sse,
            "SSEKMSKeyId": self.kms_key_id,
            "Tagging": urlencode(self.tags),
        }
        if self.object_lock is not None:
            until = datetime.now(UTC) + timedelta(days=self.object_lock.days)
            arguments |= {"ObjectLockMode": self.object_lock.mode, "ObjectLockRetainUntilDate": until}
        return {name: value for name, value in arguments.items() if value}


def parse(entry: object) -> S3Settings:
    """Read the entry ``S3`` of ``BACKUPS``.

    :raises SettingsError: saying what is wrong with it.
    """
    values, empty = parse_keys("S3", entry, _KEYS, required="bucket_name")
    return _check_together(S3Settings(**values, empty=empty))


def _check_together(settings: S3Settings) -> S3Settings:
    """Check the keys that depend on each other."""
    if (settings.aws_access_key_id is None) != (settings.aws_secret_access_key is None):
        missing = "aws_secret_access_key" if settings.aws_access_key_id else "aws_access_key_id"
        raise SettingsError(
            f"BACKUPS['S3'] has one of the two keys and no {missing!r}.",
            "Set both, or none: without them credentials come from where the AWS command line finds them.",
        )
    if settings.profile and settings.aws_access_key_id:
        raise SettingsError("BACKUPS['S3'] has both keys and a 'profile'.", "Keep the one you use.")
    if settings.kms_key_id and settings.sse not in ("aws:kms", "aws:kms:dsse"):
        raise SettingsError("BACKUPS['S3'] has a 'kms_key_id' without KMS.", "Set 'sse': 'aws:kms' as well.")
    return settings


def _find_certificates(root: Path, ca_bundle: str) -> str:
    """Return the path of the file ``ca_bundle``, relative to ``root``, after a look into it."""
    import ssl

    try:
        path = root / Path(ca_bundle).expanduser()
        ssl.create_default_context(cafile=path)
    except (OSError, RuntimeError, ValueError) as error:
        why = "has no certificates" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise SettingsError(
            f"'ca_bundle' in BACKUPS ({ca_bundle}) {why}.",
            "Use the path of a PEM file with the certificates of the authority.",
        ) from error
    return str(path)


def _key(what: str, value: object) -> str:
    text = parse_text(what, value)
    if not re.fullmatch(r"[!-~]+", text):
        raise SettingsError(
            f"{what} has a space, a newline or a similar character in it.", "Remove it: no key has one."
        )
    return text


def _secret(what: str, value: object) -> Secret:
    return Secret(_key(what, value))


def _bucket(what: str, value: object) -> str:
    text = parse_text(what, value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) and not text.startswith("arn:"):
        raise SettingsError(
            f"{what}: {text!r} cannot be the name of a bucket.",
            "Use 3 to 63 lower-case letters, digits, dots and dashes. A folder in it is the 'prefix'.",
        )
    return text


def _prefix(what: str, value: object) -> str:
    parts = [part for part in parse_text(what, value).split("/") if part]
    if any(part in (".", "..") or re.search(r"[\\\x00-\x1f\x7f]", part) for part in parts):
        raise SettingsError(
            f"{what} is not a folder name that every server accepts.", "Use a name like 'team/app'."
        )
    return "".join(f"{part}/" for part in parts)


def _endpoint(what: str, value: object) -> str:
    text = parse_text(what, value)
    found = re.fullmatch(
        r"https?://([\w.-]+|\[[0-9a-f:]+\])(:(\d{1,5}))?(/[\w.~%+-]+)*/?", text, re.IGNORECASE
    )
    if not found or int(found[3] or 0) > _HIGHEST_PORT:
        raise SettingsError(
            f"{what} is not the address of a server.", "Use an address like 'https://s3.example.com:9000'."
        )
    return text.rstrip("/")


def _storage_class(what: str, value: object) -> str:
    text = parse_text(what, value)
    if text in ("GLACIER", "DEEP_ARCHIVE"):
        raise SettingsError(
            f"{what}: objects in {text} take hours to be read, and monarch reads them to list and to verify.",
            "Use 'GLACIER_IR', which can be read at once.",
        )
    return text


def _threads(what: str, value: object) -> int:
    return parse_number(what, value, 1, 64)


def _size(what: str, value: object) -> int:
    found = re.fullmatch(r"(\d+) ?([KMG]i?B)?", str(value), re.IGNORECASE)
    size = int(found[1]) * _UNITS[(found[2] or "").upper()] if found and not isinstance(value, bool) else 0
    if not _SMALLEST_PART <= size <= _LARGEST_PART:
        raise SettingsError(f"{what} is not a size from 5 MiB to 5 GiB.", "Write it as '64MiB', or in bytes.")
    return size


def _lock(what: str, value: object) -> ObjectLock:
    if not isinstance(value, Mapping) or set(value) != {"mode", "days"}:
        raise SettingsError(
            f"{what} is not a dict of 'mode' and 'days'.", "Use {'mode': 'GOVERNANCE', 'days': 30}."
        )
    mode = one_of("GOVERNANCE", "COMPLIANCE")(f"{what}: 'mode'", value["mode"])
    return ObjectLock(mode, parse_number(f"{what}: 'days'", value["days"], 1, 36_500))


def _tags(what: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(text, str) for item in value.items() for text in item
    ):
        raise SettingsError(f"{what} is not a dict of texts.", "Use a dict like {'team': 'dogs'}.")
    return dict(value)


_KEYS: Mapping[str, KeyParser] = {
    "bucket_name": _bucket,
    "aws_access_key_id": _key,
    "aws_secret_access_key": _secret,
    "aws_session_token": _secret,
    "prefix": _prefix,
    "region": parse_text,
    "endpoint_url": _endpoint,
    "ca_bundle": parse_text,
    "addressing_style": one_of("auto", "path", "virtual"),
    "profile": parse_text,
    "role_arn": parse_text,
    "storage_class": _storage_class,
    "sse": one_of("AES256", "aws:kms", "aws:kms:dsse"),
    "kms_key_id": parse_text,
    "part_size": _size,
    "max_concurrency": _threads,
    "object_lock": _lock,
    "tags": _tags,
}
