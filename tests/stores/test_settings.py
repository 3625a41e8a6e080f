"""``BACKUPS``: valid entries, and the errors of invalid ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monarch.errors import SettingsError
from monarch.stores import open_store, parse_store
from monarch.stores.local.settings import LocalSettings
from monarch.stores.s3.settings import ObjectLock, S3Settings
from monarch.system.secrets import Secret


def s3(**settings: Any) -> S3Settings:
    parsed = parse_store({"S3": {"bucket_name": "our-backups", **settings}})
    assert isinstance(parsed, S3Settings)
    return parsed


def test_required_keys() -> None:
    assert parse_store(None) is None
    assert parse_store({}) is None
    assert parse_store({"LOCAL": {"backup_dir": "b"}}) == LocalSettings("b")
    assert s3() == S3Settings("our-backups")
    # The three keys of monarch 0.1.
    old = s3(aws_access_key_id="key", aws_secret_access_key="very/hush")
    assert old.aws_access_key_id == "key"
    assert isinstance(old.aws_secret_access_key, Secret)
    assert "hush" not in repr(old)


def test_an_unset_variable_counts_as_a_missing_key() -> None:
    nothing = s3(aws_access_key_id=None, aws_secret_access_key="", prefix=None)
    assert nothing.empty == {"aws_access_key_id", "aws_secret_access_key", "prefix"}
    assert replace(nothing, empty=frozenset()) == s3()


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ("/", ""),
        ("//", ""),
        ("a//b", "a/b/"),
        ("/the team's/", "the team's/"),
        ("a", "a/"),
        ("ü/é+%", "ü/é+%/"),
    ],
)
def test_prefixes(value: str, prefix: str) -> None:
    assert s3(prefix=value).prefix == prefix


def test_all_keys() -> None:
    settings = s3(
        prefix="/the team/app/",
        region="eu-central-1",
        endpoint_url="https://minio.example.com:9000/",
        addressing_style="path",
        profile="backups",
        role_arn="arn:aws:iam::123456789012:role/backups",
        storage_class="STANDARD_IA",
        sse="aws:kms",
        kms_key_id="alias/backups",
        part_size="64MiB",
        max_concurrency=8,
        object_lock={"mode": "GOVERNANCE", "days": 30},
        tags={"team": "dogs & cats"},
    )
    assert settings.prefix == "the team/app/"
    assert settings.endpoint_url == "https://minio.example.com:9000"
    assert (settings.part_size, settings.max_concurrency) == (64 << 20, 8)
    assert settings.object_lock == ObjectLock("GOVERNANCE", 30)
    arguments = settings.on_create
    until = arguments.pop("ObjectLockRetainUntilDate")
    assert timedelta(days=29) < until - datetime.now(UTC) <= timedelta(days=30)
    assert arguments == {
        "StorageClass": "STANDARD_IA",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/backups",
        "Tagging": "team=dogs+%26+cats",
        "ObjectLockMode": "GOVERNANCE",
    }
    assert s3().on_create == {}


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [(5 << 20, 5 << 20), ("8MiB", 8 << 20), ("16 MB", 16_000_000), ("1gib", 1 << 30), ("8388608", 8 << 20)],
)
def test_sizes(size: object, bytes_: int) -> None:
    assert s3(part_size=size).part_size == bytes_


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"bukket_name": "b"}, "Unknown key 'bukket_name'", "'bucket_name'"),
        ({"endpoint": "http://h"}, "Unknown key 'endpoint'", "'endpoint_url'"),
        ({"concurrency": 3}, "Unknown key 'concurrency'", "'max_concurrency'"),
        ({"bucket_name": "s3://our-backups"}, "cannot be the name of a bucket", "'prefix'"),
        ({"bucket_name": "Our_Backups"}, "cannot be the name of a bucket", "3 to 63"),
        ({"prefix": "a/../b"}, "'prefix' is not a folder name", "team/app"),
        ({"prefix": "a\\b"}, "'prefix' is not a folder name", "team/app"),
        ({"aws_access_key_id": "k\n", "aws_secret_access_key": "s"}, "has a space, a newline", "no key"),
        ({"aws_access_key_id": "k", "aws_secret_access_key": "hush hush"}, "has a space", "no key"),
        ({"endpoint_url": "http://h:99999"}, "'endpoint_url' is not the address", "https://"),
        ({"endpoint_url": "http://h?x=y"}, "'endpoint_url' is not the address", "https://"),
        ({"endpoint_url": "http://h\n"}, "'endpoint_url' is not the address", "https://"),
        ({"storage_class": "DEEP_ARCHIVE"}, "take hours to be read", "GLACIER_IR"),
        ({"bucket_name": None}, "has no 'bucket_name'", "Set 'bucket_name'"),
        ({"region": 3}, "'region' is not a text", "'text'"),
        ({"endpoint_url": "minio:9000"}, "'endpoint_url' is not the address", "https://"),
        ({"endpoint_url": "http://me:hush@minio:9000"}, "'endpoint_url' is not the address", "https://"),
        ({"addressing_style": "paths"}, "is not one of 'auto', 'path', 'virtual'", "'path'"),
        ({"sse": "kms"}, "'sse' is not one of", "aws:kms"),
        ({"kms_key_id": "k"}, "a 'kms_key_id' without KMS", "'sse': 'aws:kms'"),
        ({"part_size": "4MiB"}, "'part_size' is not a size from 5 MiB", "'64MiB'"),
        ({"part_size": "64 megs"}, "'part_size' is not a size", "'64MiB'"),
        ({"part_size": True}, "'part_size' is not a size", "'64MiB'"),
        ({"max_concurrency": 0}, "'max_concurrency' is not a number from 1 to 64", "4"),
        ({"max_concurrency": True}, "'max_concurrency' is not a number", "4"),
        ({"object_lock": "GOVERNANCE"}, "'object_lock' is not a dict of 'mode' and 'days'", "'mode'"),
        ({"object_lock": {"mode": "ON", "days": 3}}, "'mode' is not one of 'GOVERNANCE'", "GOVERNANCE"),
        ({"object_lock": {"mode": "COMPLIANCE", "days": 0}}, "'days' is not a number", "4"),
        ({"tags": ["a"]}, "'tags' is not a dict of texts", "Use a dict like"),
        ({"tags": {"a": 1}}, "'tags' is not a dict of texts", "Use a dict like"),
        ({"aws_access_key_id": "k"}, "no 'aws_secret_access_key'", "Set both, or none"),
        ({"aws_secret_access_key": "hush"}, "no 'aws_access_key_id'", "Set both, or none"),
        (
            {"aws_access_key_id": "k", "aws_secret_access_key": "hush", "profile": "p"},
            "both keys and a 'profile'",
            "Keep the one",
        ),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        s3(**settings)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")
    assert "hush" not in raised.value.message


@pytest.mark.parametrize(
    ("folder", "message", "hint"),
    [
        ("s3://bucket/app/db", "(s3:…)", "{'S3': {'bucket_name': 'bucket', 'prefix': 'app/db'}}"),
        ("S3://bucket", "(s3:…)", "{'S3': {'bucket_name': 'bucket'}}"),
        ("s3:bucket/app", "(s3:…)", "{'S3': {'bucket_name': 'bucket', 'prefix': 'app'}}"),
        ("file:///var/backups", "(file:…)", "'backup_dir': '/var/backups'"),
        ("file:/var/backups", "(file:…)", "'backup_dir': '/var/backups'"),
        ("file://localhost/var/b", "(file:…)", "'backup_dir': '/var/b'"),
        ("gs://bucket", "(gs:…)", "the store 'S3'"),
        ("https://me:hush@minio/bucket", "(https:…)", "'endpoint_url'"),
        ("$HOME/backups", "the variable $HOME", "Use '~'"),
        ("${BACKUPS}/app", "the variable ${BACKUPS}", "os.environ['BACKUPS']"),
        ("/data/$APP/b", "the variable $APP", "os.environ['APP']"),
        ("%APPDATA%\\b", "the variable %APPDATA%", "os.environ['APPDATA']"),
        ("backups\n", "a newline", "Remove it"),
        ("a\0b", "a newline or a similar", "Remove it"),
    ],
)
def test_values_that_are_not_folders_are_not_created(folder: str, message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_store({"LOCAL": {"backup_dir": folder}})
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("folder", ["C:\\backups", "d:/backups", "\\\\server\\share"])
def test_a_path_of_windows_is_refused_on_other_systems(folder: str, tmp_path: Path) -> None:
    settings = parse_store({"LOCAL": {"backup_dir": folder}})
    with pytest.raises(SettingsError, match="is a path of Windows"):
        open_store(settings, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", ["b", "~/b", "/a b/c", "./a:b", "cost$", "100%", "a%b"])
def test_other_folders_are_used_unchanged(folder: str) -> None:
    assert parse_store({"LOCAL": {"backup_dir": folder}}) == LocalSettings(folder)
