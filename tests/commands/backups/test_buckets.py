"""Backups in a bucket through the real commands, on a real server."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.backups.test_many import fill as fill_folder
from tests.commands.backups.test_backups import today
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error
from tests.support.servers.s3 import (
    KEY,
    READERS_KEY,
    READERS_SECRET,
    SECRET,
    FaultyProxy,
    S3Server,
    run_proxy,
    run_sts,
)

pytestmark = pytest.mark.server
NO_KEYS = {"aws_access_key_id": None, "aws_secret_access_key": None}


def keep_in(folder: Folder, settings: dict[str, Any]) -> None:
    """Set this bucket as the only store in the settings."""
    path = folder.path / "migrations/settings.py"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("BACKUPS")]
    path.write_text("\n".join([*lines, f"BACKUPS = {{'S3': {settings!r}}}", ""]))


@pytest.fixture
def store_bucket(two: TwoEnvironments, s3: S3Server, bucket: str) -> str:
    """The bucket for the backups of ``two``."""
    keep_in(two.folder, s3.settings(bucket, prefix="app"))
    return bucket


def objects(s3: S3Server, bucket: str) -> set[str]:
    return {entry["Key"] for entry in s3.client().list_objects_v2(Bucket=bucket).get("Contents", ())}


def test_the_story(two: TwoEnvironments, s3: S3Server, store_bucket: str) -> None:
    name = today(two.source.name)
    created = two.folder.monarch("backup", "production", "--engine", "native")
    assert (created.code, created.err) == (0, "")
    assert (
        f"It is in s3://{store_bucket}/app. To restore it: monarch restore {name}:ENVIRONMENT" in created.out
    )
    files = (".dmp.zst", ".dmp.zst.json", ".journal")
    assert objects(s3, store_bucket) == {f"app/{name}{end_of_name}" for end_of_name in files}
    (listed,) = two.folder.monarch("list_backups", "--json").json
    assert (listed["name"], listed["state"], listed["documents"]) == (name, "good", DOCUMENTS + 1)
    assert f"Name         {name}" in two.folder.monarch("show_backup", name).out
    assert two.folder.monarch("verify_backup", "--all").code == 0
    restored = two.folder.monarch("restore", "production:dev", "--yes")
    assert restored.code == 0, restored.output
    two.assert_copied()
    assert two.folder.monarch("backup", "production", "--codec", "gz").code == 0
    assert len(objects(s3, store_bucket)) == 6
    assert two.folder.monarch("delete_backup", name, f"{name}_2", "--yes").code == 0
    left = objects(s3, store_bucket)
    deleted = {key for key in left if key.startswith("app/delete__")}
    assert len(deleted) == 1
    assert left - deleted == {f"app/{name}.journal", f"app/{name}_2.journal"}


def test_foreign_objects_are_not_changed_and_old_backups_are_restored(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, tmp_path: Path
) -> None:
    client = s3.client()
    for key in ("notes.txt", "app/notes.txt", "app/deeper/x.dmp.zst", "other.dmp.zst"):
        client.put_object(Bucket=store_bucket, Key=key, Body=b"mine")
    old = tmp_path / "old.dmp.zip"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("users.bson", (22).to_bytes(4, "little") + b"\x07_id\0" + bytes(12) + b"\0")
        archive.writestr(
            "users.metadata.json", '{"options":{},"indexes":[{"v":1,"key":{"_id":1},"name":"_id_"}]}'
        )
    client.put_object(Bucket=store_bucket, Key="app/old.dmp.zip", Body=old.read_bytes())
    (listed,) = two.folder.monarch("list_backups", "--json").json
    assert (listed["name"], listed["state"]) == ("old", "legacy")
    restored = two.folder.monarch("restore", "old:dev", "--yes")
    assert restored.code == 0, restored.output
    assert two.target.users.count_documents({}) == 1
    assert two.folder.monarch("delete_backup", "old", "--yes").code == 0
    # The journal keeps who deleted it.
    assert len([key for key in objects(s3, store_bucket) if not key.endswith(".journal")]) == 4


def test_an_abandoned_upload_is_shown_and_removed(
    two: TwoEnvironments, s3: S3Server, store_bucket: str
) -> None:
    name = today(two.source.name)
    client = s3.client()
    client.create_multipart_upload(Bucket=store_bucket, Key=f"app/{name}.dmp.zst")
    (listed,) = two.folder.monarch("list_backups", "--json").json
    assert (listed["name"], listed["state"]) == (name, "begun")
    noted = two.folder.monarch("list_backups").err
    assert f"Note: {name} is begun: it is being written, or was cut off less than 15 minutes ago." in noted
    assert f"If it was cut off, remove it: monarch delete_backup {name}" in noted
    result = two.folder.monarch("restore", f"{name}:dev", "--yes")
    assert_error(result, 4, f"Backup '{name}' is not complete yet", "Wait")
    # It may be in progress, so a nightly `verify_backup --all` does not report it.
    assert "There are no backups" in two.folder.monarch("verify_backup", "--all").err
    # Its name stays reserved.
    assert two.folder.monarch("backup", "production", "--json").json["name"] == f"{name}_2"
    assert two.folder.monarch("delete_backup", name, "--yes").code == 0
    assert not client.list_multipart_uploads(Bucket=store_bucket).get("Uploads")


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    with run_proxy(s3) as made:
        yield made


def test_a_backup_that_cannot_be_kept_leaves_nothing(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    proxy.add("refuse", r"^PUT .*partNumber=", times=1000)
    result = two.folder.monarch("backup", "production", "--engine", "native")
    assert_error(result, 5, "cannot be reached", "endpoint_url")
    proxy.clear()
    assert two.folder.monarch("list_backups", "--json").json == []
    # If the manifest fails, the archive is removed, too.
    proxy.add("refuse", r"^PUT .*json\?.*partNumber=", times=1000)
    assert two.folder.monarch("backup", "production", "--engine", "native").code == 5
    proxy.clear()
    assert two.folder.monarch("list_backups", "--json").json == []
    assert objects(s3, store_bucket) == set()


@pytest.mark.parametrize("read_before", [0, 1], ids=["when it is verified", "when it is used"])
def test_bytes_that_change_in_transit_are_detected(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy, read_before: int
) -> None:
    """The archive in the bucket is correct, but the received bytes are not."""
    report = two.folder.monarch("backup", "production", "--engine", "native", "--json").json
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    # It is small, so each read is one request.
    proxy.add("stall", r"^GET [^?]*\.zst$", times=read_before)
    proxy.add("flip answer", r"^GET [^?]*\.zst$", at=1000)
    result = two.folder.monarch("restore", f"{report['name']}:dev", "--yes", "--engine", "native")
    assert_error(
        result, 1, f"Backup '{report['name']}' is broken: .* 'dev' is as it was", "no other good backup"
    )
    two.assert_unchanged()
    assert two.folder.monarch("restore", f"{report['name']}:dev", "--yes", "--engine", "native").code == 0
    two.assert_copied()


def test_a_broken_connection_is_resumed(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    two.source.more.insert_many({"_id": n, "text": f"{n * 7919 % 10007:x}" * 40} for n in range(20_000))
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    proxy.add("cut request", r"^PUT .*partNumber=", at=10_000)
    proxy.add("status", r"^POST ", code=(503, "SlowDown"))
    proxy.add("cut answer", r"^GET [^?]*\.zst$", at=10_000, times=2)
    created = two.folder.monarch("backup", "production", "--engine", "native")
    assert created.code == 0, created.output
    restored = two.folder.monarch("restore", "production:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    two.assert_copied()
    assert all(fault.times == 0 for fault in proxy.faults)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"bucket_name": "no-such-bucket"}, "There is no bucket 'no-such-bucket' at http", "s3 mb s3://no"),
        ({"aws_access_key_id": "NOBODYSKEY"}, "does not know this access key", "BACKUPS"),
        ({"aws_secret_access_key": "hush/wrong"}, "secret access key does not belong to", "BACKUPS"),
        ({"endpoint_url": "http://127.0.0.1:1"}, "http://127.0.0.1:1 cannot be reached", "endpoint_url"),
        (
            {"aws_access_key_id": None, "aws_secret_access_key": None},
            "'aws_access_key_id' in BACKUPS is empty on this machine",
            "variable",
        ),
        (
            {"aws_access_key_id": None, "aws_secret_access_key": None, "profile": "nobodys"},
            "An AWS profile is not known on this machine: .*nobodys",
            "list-profiles",
        ),
        (
            {"aws_access_key_id": READERS_KEY, "aws_secret_access_key": READERS_SECRET},
            "S3 denies s3:PutObject on '",
            "Allow s3:PutObject",
        ),
    ],
)
def test_refusals(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, change: dict[str, Any], message: str, hint: str
) -> None:
    keep_in(two.folder, {**s3.settings(store_bucket, prefix="app"), **change})
    alone = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "HOME": str(two.folder.path)}
    result = two.folder.monarch("backup", "production", "--engine", "native", variables=alone)
    assert_error(result, 5, message, hint)
    assert "hush" not in result.output
    assert (
        two.folder.monarch("backup", "production", "--traceback", variables=alone).output.count("hush") == 0
    )


def test_credentials_are_found_in_the_places_of_aws(
    two: TwoEnvironments, s3: S3Server, store_bucket: str
) -> None:
    keep_in(two.folder, {**s3.settings(store_bucket, prefix="app"), **NO_KEYS})
    result = two.folder.monarch(
        "backup", "production", variables={"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    )
    assert result.code == 0, result.output
    profile = two.folder.write(
        "aws/credentials", f"[work]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    keep_in(two.folder, {**s3.settings(store_bucket, prefix="app"), **NO_KEYS, "profile": "work"})
    result = two.folder.monarch(
        "verify_backup", "--all", variables={"AWS_SHARED_CREDENTIALS_FILE": str(profile)}
    )
    assert result.code == 0, result.output


def test_a_role_is_assumed(two: TwoEnvironments, s3: S3Server, store_bucket: str) -> None:
    """The credentials may only assume the role; S3 receives the credentials of the role."""
    role = "arn:aws:iam::123456789012:role/backups"
    mine = {"aws_access_key_id": "NOBODYSKEY", "aws_secret_access_key": "hush/nobodys"}
    keep_in(two.folder, {**s3.settings(store_bucket, prefix="app"), **mine, "role_arn": role})
    with run_sts() as (url, asked):
        result = two.folder.monarch("backup", "production", variables={"AWS_ENDPOINT_URL_STS": url})
    assert result.code == 0, result.output
    (request,) = asked
    assert request["RoleArn"] == [role]
    assert request["RoleSessionName"] == ["monarch"]
    assert len(objects(s3, store_bucket)) == 3


def test_no_secret_is_shown(two: TwoEnvironments, s3: S3Server, store_bucket: str) -> None:
    """It is not even in botocore's own log, if that is enabled."""
    settings = two.folder.path / "migrations/settings.py"
    settings.write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\n" + settings.read_text())
    output = ""
    for command in (["backup", "production", "--json"], ["list_backups"], ["verify_backup", "--all"]):
        result = two.folder.monarch(*command, "--traceback")
        assert result.code == 0, result.output
        output += result.output
    assert "GET /" in output  # proves that the log is captured
    assert SECRET not in output
    client = s3.client()
    for key in objects(s3, store_bucket):
        assert SECRET.encode() not in client.get_object(Bucket=store_bucket, Key=key)["Body"].read()


def test_without_boto3(two: TwoEnvironments, s3: S3Server, store_bucket: str, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "boto3.py").write_text("raise ModuleNotFoundError('no boto3')\n")
    path = os.pathsep.join([str(blocked), os.environ.get("PYTHONPATH", "")])
    result = two.folder.monarch("list_backups", variables={"PYTHONPATH": path})
    assert_error(result, 5, "Backups in S3 need boto3", "pip install boto3")


# The requests of a backup and of a restore, and their faults, temporary or permanent.
REQUESTS = (
    *(r"^GET [^?]*\?.*list-type", r"^POST .*\?uploads", "^PUT .*partNumber=", "^POST .*uploadId="),
    r"^GET [^?]*\.zst($|\?)",
    r"^GET [^?]*\.json($|\?)",
)
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"what": "refuse"},
    "cut": {"what": "cut answer", "at": 100},
    "500": {"what": "status", "code": (500, "InternalError")},
    "slow down": {"what": "status", "code": (503, "SlowDown")},
    "wrong bytes": {"what": "flip answer", "at": 500},
    "lost": {"what": "lose"},
}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(("fault", "times"), counts.sample(list(product(FAULTS, (1, 1000))), 2))
def test_any_fault_of_the_network(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy, fault: str, times: int
) -> None:
    """A backup and a restore succeed or fail cleanly, and no broken backup is listed as good."""
    good = two.folder.invoke("backup", "production", "--engine", "native", "--json").json["name"]
    through = replace(s3, url=proxy.url).settings(store_bucket, prefix="app")
    commands = (("backup", "production"), ("restore", f"{good}:dev", "--yes"))
    ended = []
    keep_in(two.folder, through)
    for request, command in product(REQUESTS, commands):
        proxy.add(**FAULTS[fault], pattern=request, times=times)
        result = two.folder.invoke(*command, "--engine", "native")
        met = proxy.faults[0].times < times
        proxy.clear()
        assert result.code in (0, 1, 5), result.output
        assert result.code == 0 or re.fullmatch("Error: .+\nHint: .+\n", result.err), result.err
        if command[0] == "restore" and result.code == 0:
            two.assert_copied()
            two.reset_target()
        two.assert_unchanged()
        if met:
            ended.append(result.code)
    assert len(ended) >= 7
    assert set(ended) <= {0, 1} if times == 1 else 5 in ended
    for listed in two.folder.invoke("list_backups", "--json").json:
        assert listed["state"] in ("good", "begun"), listed
        assert listed["state"] == "begun" or two.folder.invoke("verify_backup", listed["name"]).code == 0


def test_a_thousand_keys_take_one_request(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy, tmp_path: Path
) -> None:
    backups = 600
    fill_folder(tmp_path / "many", backups)
    (tmp_path / "many" / "tiny").unlink()
    client = s3.client()

    def put(path: Path) -> None:
        client.put_object(Bucket=store_bucket, Key=f"app/{path.name}", Body=path.read_bytes())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, (tmp_path / "many").iterdir()))
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    listed = two.folder.monarch("list_backups", "--json").json
    assert [one["state"] for one in listed] == ["good"] * backups
    assert len({one["name"] for one in listed}) == backups
    pages = [request for request in proxy.requests if "list-type=2" in request]
    assert len(pages) == 2
    # The other requests: unfinished uploads, in two ways, and each manifest once.
    assert len(proxy.requests) == 2 + 2 + backups
    # The next time, one of the manifests is read; and those that are another by now.
    proxy.clear()
    assert two.folder.monarch("list_backups", "--json").json == listed
    assert len(proxy.requests) == 2 + 2 + 1
    which = {"Bucket": store_bucket, "Key": f"app/{listed[0]['archive']}.json"}
    body = client.get_object(**which)["Body"].read()
    client.put_object(**which, Body=body.replace(b"production", b"productioN"))
    again = two.folder.monarch("list_backups", "--json").json
    assert [one["archive"] for one in again if one["state"] == "broken"] == [listed[0]["archive"]]
    assert [one for one in again if one["state"] == "good"] == listed[1:]


def test_an_expired_session_does_not_make_backups_broken(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    """An unreadable backup is not reported as broken, or a user might delete it."""
    names = [two.folder.monarch("backup", "production", "--json").json["name"] for _ in range(2)]
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    proxy.add("status", r"^GET [^?]*\.json$", times=1000, code=(400, "ExpiredToken"))
    result = two.folder.monarch("verify_backup", "--all")
    assert_error(
        result, 5, "2 of 2 backups could not be read: .* The session has expired", "not mean that they"
    )
    assert result.out.count("unread ") == 2
    assert "BROKEN" not in result.output
    rows = two.folder.monarch("verify_backup", "--all", "--json").json
    assert [row["good"] for row in rows] == [None, None]
    assert_error(
        two.folder.monarch("restore", f"{names[0]}:dev", "--yes"), 5, "session has expired", "Log in"
    )
    result = two.folder.monarch("restore", "production:dev", "--yes")
    assert_error(result, 1, f"'{names[1]}' may be the newest backup of 'production'", "Fix that")
    # An older backup that can be read is not used as the newest.
    proxy.clear()
    proxy.add("status", rf"^GET [^?]*{names[1]}\.dmp\.zst\.json$", times=1000, code=(403, "AccessDenied"))
    result = two.folder.monarch("restore", "production:dev", "--yes")
    assert_error(result, 1, f"'{names[1]}' may be the newest backup of 'production'", repr(names[0]))
    two.assert_unchanged()
    assert two.folder.monarch("restore", f"{names[0]}:dev", "--yes").code == 0


def test_leftovers_that_cannot_be_removed_are_reported(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    """The user may write but not delete, as in some CI jobs."""
    name = today(two.source.name)
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    proxy.add("status", "^DELETE ", times=1000, code=(403, "AccessDenied"))
    proxy.add("status", "^PUT .*partNumber=", times=1, code=(403, "AccessDenied"))
    result = two.folder.monarch("backup", "production", "--engine", "native")
    assert_error(result, 5, "S3 denies s3:PutObject", f"Files of '{name}' may be left")
    assert two.folder.monarch("list_backups", "--json").json[0]["state"] == "begun"


def test_an_object_of_another_program_is_never_deleted(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    name = f"app/{today(two.source.name)}.dmp.zst.json"
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    client = s3.client()
    proxy.add(
        "do",
        r"^PUT [^?]*json\?.*partNumber",
        do=lambda: client.put_object(Bucket=store_bucket, Key=name, Body=b"mine"),
    )
    result = two.folder.monarch("backup", "production", "--engine", "native")
    assert result.code == 5, result.output
    assert objects(s3, store_bucket) == {name}
    assert client.get_object(Bucket=store_bucket, Key=name)["Body"].read() == b"mine"


def test_a_role_without_credentials(two: TwoEnvironments, s3: S3Server, store_bucket: str) -> None:
    role = {"role_arn": "arn:aws:iam::123456789012:role/backups"}
    keep_in(two.folder, {**s3.settings(store_bucket), **NO_KEYS, **role})
    alone = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "HOME": str(two.folder.path)}
    result = two.folder.monarch("list_backups", variables=alone)
    assert_error(result, 5, "'aws_access_key_id' in BACKUPS is empty", "variable")


def test_a_backup_that_finishes_while_it_is_deleted_stays(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    """A user mistakes a slow backup for an interrupted one."""
    name = two.folder.monarch("backup", "production", "--json").json["name"]
    client = s3.client()
    keys = [f"app/{name}.dmp.zst{end}" for end in ("", ".json")]
    bodies = [client.get_object(Bucket=store_bucket, Key=key)["Body"].read() for key in keys]
    client.delete_object(Bucket=store_bucket, Key=keys[1])
    begun = client.create_multipart_upload(Bucket=store_bucket, Key=keys[1])["UploadId"]
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))

    def finish() -> None:
        which: dict[str, Any] = {"Bucket": store_bucket, "Key": keys[1], "UploadId": begun}
        part = client.upload_part(**which, PartNumber=1, Body=bodies[1])
        parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
        client.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})

    proxy.add("do", f"^GET .*uploads&prefix=.*{name}.dmp.zst.json", do=finish)
    result = two.folder.monarch("delete_backup", name, "--yes")
    assert result.code == 1
    assert f"Error: '{name}' is another backup by now: good" in result.err
    assert "Hint: It was not deleted" in result.err
    assert {key for key in objects(s3, store_bucket) if name in key} - {f"app/{name}.journal"} == set(keys)
    assert two.folder.monarch("verify_backup", name).code == 0
