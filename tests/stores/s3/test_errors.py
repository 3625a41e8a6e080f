"""The errors of servers and of botocore, and the messages and hints for users."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from monarch.stores.base import DeletionDenied, NotStored
from monarch.stores.s3.errors import ACTIONS, explain
from monarch.stores.s3.settings import ObjectLock, S3Settings
from monarch.system.secrets import Secret

SETTINGS = S3Settings("our-backups", region="eu-central-1", profile="work")

_WITH_PASSWORD = "https://me:hush@x/y?uploadId=1"


def refused(code: str, message: str = "As told.", region: str | None = None, **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message, **more},
        "ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": region} if region else {}},
    }
    return ClientError(response, "Operation")


REFUSALS = [
    (refused("NoSuchBucket"), "There is no bucket 'our-backups' at AWS", "aws s3 mb s3://our-backups"),
    (
        refused("PermanentRedirect", region="us-west-2"),
        "is in another region. It is in us-west-2",
        "'region': 'us-west-2'",
    ),
    (
        refused("AuthorizationHeaderMalformed", Region="eu-west-1"),
        "It is in eu-west-1",
        "'region': 'eu-west-1'",
    ),
    (refused("301"), "is in another region", "Set the right 'region'"),
    (
        refused("AccessDenied"),
        "S3 denies s3:PutObject on 'a' in the bucket 'our-backups'",
        "manual has a policy",
    ),
    (refused("403"), "S3 denies s3:PutObject", "Allow s3:PutObject"),
    (refused("ExpiredToken"), "The session has expired", "aws sso login"),
    (refused("RequestTimeTooSkewed"), "The clock of this machine is too far", "timedatectl"),
    (refused("InvalidAccessKeyId"), "AWS does not know this access key", "from a variable, the profile"),
    (refused("SignatureDoesNotMatch"), "does not belong to the access key", "from a variable, the profile"),
    (refused("InvalidObjectState"), "is in an archive class, which cannot be read at once", "restore-object"),
    (refused("ConditionalRequestConflict"), "Another program wrote 'a'", "again"),
    (
        refused("AccessDenied", "User: x is not authorized to perform: kms:GenerateDataKey on resource"),
        "S3 denies kms:GenerateDataKey on 'a'",
        "Allow kms:GenerateDataKey",
    ),
    (
        ClientError({"Error": {"Code": "AccessDenied", "Message": "Not you."}}, "AssumeRole"),
        "The role cannot be assumed: Not you.",
        "'role_arn'",
    ),
    (ResponseParserError("<html>"), "AWS does not answer like S3", "'endpoint_url'"),
    (refused("InvalidBucketName"), "cannot be the name of a bucket", "BACKUPS"),
    (refused("SlowDown"), "S3 is busy (SlowDown)", "later"),
    (refused("KMS.NotFoundException", "No such key."), "KMS.NotFoundException, No such key.", "BACKUPS"),
    (refused("NoSuchUpload"), "The upload of 'a' in the bucket 'our-backups' was removed", "again"),
    (exceptions.NoCredentialsError(), "The profile 'work' has no credentials", "aws sso login"),
    (
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        "The profile 'work' has no credentials",
        "aws sso login",
    ),
    (
        exceptions.ProfileNotFound(profile="work"),
        "An AWS profile is not known on this machine",
        "list-profiles",
    ),
    (exceptions.UnauthorizedSSOTokenError(), "The session has expired", "aws sso login"),
    (exceptions.NoRegionError(), "The region of the bucket is not known", "'region'"),
    (
        exceptions.EndpointConnectionError(endpoint_url="https://me:hush@x/y?uploadId=1"),
        "https://x cannot be reached",
        "network",
    ),
    (
        exceptions.ConnectTimeoutError(endpoint_url="https://me:hush@x/y?uploadId=1"),
        "https://x cannot be reached",
        "network",
    ),
    (
        exceptions.ReadTimeoutError(endpoint_url="https://me:hush@x/y?uploadId=1"),
        "https://x cannot be reached",
        "network",
    ),
    (
        exceptions.ParamValidationError(report="Invalid bucket name"),
        "cannot be the name of a bucket",
        "BACKUPS",
    ),
]


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    REFUSALS,
    ids=[f"{type(error).__name__} {error}"[:60] for error, _, _ in REFUSALS],
)
def test_a_refusal_has_a_message_and_a_hint(error: Exception, message: str, hint: str) -> None:
    explained = explain(error, SETTINGS, "upload_part", "a")
    assert message in explained.message
    assert hint in (explained.hint or "")
    assert "\n" not in explained.message
    assert not re.search("hush|uploadId", explained.message)
    assert explained.exit_code == 5


def test_missing_credentials_are_reported_with_what_to_set() -> None:
    nothing = replace(SETTINGS, profile=None)
    explained = explain(exceptions.NoCredentialsError(), nothing, "upload_part", "a")
    assert "There are no credentials for S3 on this machine" in explained.message
    assert "AWS_ACCESS_KEY_ID" in (explained.hint or "")
    half = exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")
    assert "no complete credentials" in explain(half, nothing, "upload_part", "a").message
    empty = replace(nothing, empty=frozenset(["aws_access_key_id"]))
    explained = explain(exceptions.NoCredentialsError(), empty, "upload_part", "a")
    assert "'aws_access_key_id' in BACKUPS is empty on this machine" in explained.message
    own = replace(SETTINGS, aws_access_key_id="k")
    assert "BACKUPS" in (explain(refused("SignatureDoesNotMatch"), own, "upload_part", "a").hint or "")


def test_the_hint_for_a_missing_bucket_names_the_server() -> None:
    own = replace(SETTINGS, endpoint_url="http://minio:9000")
    explained = explain(refused("NoSuchBucket"), own, "list_objects_v2", None)
    assert "aws --endpoint-url http://minio:9000 s3 mb s3://our-backups" in (explained.hint or "")


def test_a_lock_that_the_bucket_does_not_support() -> None:
    locked = replace(SETTINGS, object_lock=ObjectLock("GOVERNANCE", 1))
    explained = explain(refused("InvalidRequest"), locked, "create_multipart_upload", "a")
    assert "created with object lock" in (explained.hint or "")


def test_a_missing_object() -> None:
    for code in ("NoSuchKey", "404"):
        assert isinstance(explain(refused(code), SETTINGS, "get_object", "a"), NotStored)
    assert isinstance(explain(refused("NoSuchUpload"), SETTINGS, "abort_multipart_upload", "a"), NotStored)
    assert not isinstance(explain(refused("404"), SETTINGS, "list_objects_v2", None), NotStored)


def test_a_failed_deletion_mentions_object_locks() -> None:
    explained = explain(refused("AccessDenied"), SETTINGS, "delete_object", "a")
    assert isinstance(explained, DeletionDenied)
    assert "An object lock may forbid it" in explained.message


def test_messages_of_a_server_are_redacted() -> None:
    Secret("very-hush-secret")
    explained = explain(refused("Odd", "your key very-hush-secret\nis odd"), SETTINGS, "get_object", "a")
    assert "very-hush-secret" not in explained.message
    assert "\n" not in explained.message


def test_the_actions_are_those_of_the_policy_in_the_manual() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "stores.rst").read_text()
    for action in set(ACTIONS.values()):
        assert f'"{action}"' in page
