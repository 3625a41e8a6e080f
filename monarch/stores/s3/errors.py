"""What a refusal of S3 means, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from monarch.errors import StoreError
from monarch.stores.base import NotStored
from monarch.system.secrets import redact

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings

# What one must be allowed to, by what is called.
ACTIONS = {
    "list_objects_v2": "s3:ListBucket",
    "list_multipart_uploads": "s3:ListBucketMultipartUploads",
    "list_parts": "s3:ListMultipartUploadParts",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "delete_object": "s3:DeleteObject",
}
_SETTINGS = "See BACKUPS in migrations/settings.py."
_LOG_IN = "Log in again (aws sso login), or get new credentials."
_EXPIRED = ("The session has expired.", _LOG_IN)
_SKEWED = ("The clock of this machine is too far from that of S3.", "Set it: timedatectl set-ntp true")
_NO_REGION = ("The region of the bucket is not known.", "Say 'region' in BACKUPS, or set AWS_DEFAULT_REGION.")
_FOUND = "It comes from this machine: from a variable, the profile, the role."
_ODD = ("{where} does not answer like S3.", "Is 'endpoint_url' in BACKUPS right, its port too?")
_PROFILES = "See aws configure list-profiles, and the variable AWS_PROFILE."
_BAD_NAME = ("{bucket!r} cannot be the name of a bucket: {said}", _SETTINGS)
_BUSY = ("S3 could not do it now ({code}), however often it was asked.", "Try again later.")
# By the server's word, or the name of botocore's error, where that is all there is to know.
_TOLD = {
    "InvalidAccessKeyId": ("{where} does not know this access key.", "Is it of another server? {keys}"),
    "SignatureDoesNotMatch": ("The secret access key does not go with the access key.", "{keys}"),
    "InvalidObjectState": (
        "{what} is in an archive, from which nothing is read at once.",
        "Bring it back first: aws s3api restore-object",
    ),
    "ConditionalRequestConflict": ("Another program wrote {what} at the same moment.", "Try again."),
    "ResponseParserError": _ODD,
    "ConfigParseError": (
        "The configuration of AWS on this machine cannot be read: {said}",
        "Mend that file.",
    ),
    "NoSuchUpload": ("The upload of {what} was taken away while it was written.", "Do that again."),
    "BadDigest": (
        "What arrived of {what} is not what was sent.",
        "Something changes bytes on the way. Try again.",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"), _EXPIRED
    ),
    **dict.fromkeys(("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError"), _EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _SKEWED),
    **dict.fromkeys(("InvalidBucketName", "ParamValidationError"), _BAD_NAME),
    "ProfileNotFound": (
        "A profile of AWS is not known here: {said}",
        _PROFILES,
    ),
    "NoRegionError": _NO_REGION,
    "InvalidRegionError": ("There is no such region: {said}", _SETTINGS),
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "503"), _BUSY
    ),
}
_NO_KEY, _NO_BUCKET = ("NoSuchKey", "NoSuchVersion"), ("NoSuchBucket", "404")
_DENIED = ("AccessDenied", "403", "AllAccessDisabled")
_NO_KEYS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")
_WRONG_REGION = (
    *("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    *("TemporaryRedirect", "301", "307"),
)


def code_of(error: BaseException | None) -> str:
    """The server's word for what is wrong; empty if it was not the server that said no."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def explain(error: Exception, settings: S3Settings, operation: str, name: str | None) -> StoreError:
    """``error`` of botocore for people, without any secret."""
    code, said, bucket = code_of(error), _said(error), settings.bucket_name
    what = f"{name!r} in the bucket {bucket!r}" if name else f"the bucket {bucket!r}"
    where = _host_of(error) or settings.endpoint_url or "AWS"
    gone = code == "NoSuchUpload" and operation in ("abort_multipart_upload", "list_parts")
    if code in _NO_KEY or (code == "404" and name) or gone:
        return NotStored(f"There is no {what}.")
    if code in _NO_BUCKET:
        at = f" --endpoint-url {settings.endpoint_url}" if settings.endpoint_url else ""
        also = " and 'endpoint_url'" if settings.endpoint_url else ""
        return StoreError(
            f"There is no bucket {bucket!r} at {where}.",
            f"Create it (aws{at} s3 mb s3://{bucket}), or correct 'bucket_name'{also} in BACKUPS.",
        )
    if code in _DENIED:
        return _denied(error, operation, what, said)
    if code in _WRONG_REGION:
        return _wrong_region(error, settings)
    if type(error).__name__ in _NO_KEYS:
        return _without_credentials(error, settings)
    told = _TOLD.get(code or type(error).__name__)
    if told is not None:
        words = {"bucket": bucket, "what": what, "where": where, "code": code, "said": said}
        words["keys"] = _SETTINGS if settings.aws_access_key_id else _FOUND
        return StoreError(*(text.format(**words) for text in told))
    if code:
        locked = settings.object_lock is not None and operation == "create_multipart_upload"
        hint = "Was the bucket made with object lock? It cannot be had later." if locked else _SETTINGS
        return StoreError(f"S3 refuses {operation} on {what}: {code}, {said}", hint)
    return StoreError(
        f"{where} cannot be reached: {said}",
        "Is it running, and is there a network? Is 'endpoint_url' (http or https?) or 'region' right?",
    )


def _denied(error: Any, operation: str, what: str, said: str) -> StoreError:
    if getattr(error, "operation_name", "") == "AssumeRole":
        return StoreError(
            f"The role cannot be taken: {said}", "See 'role_arn' in BACKUPS, and whom that role trusts."
        )
    # AWS says itself what is missing, which may be another right: of a key to encrypt with, of tags.
    missing = re.search(r"not authorized to perform: (\S+)", said)
    action = missing[1] if missing else ACTIONS.get(operation, operation)
    locked = " Perhaps a lock on it does." if operation == "delete_object" else ""
    hint = f"Allow {action} to this user or role; the README has a policy."
    return StoreError(f"S3 denies {action} on {what}.{locked}", hint)


def _without_credentials(error: Exception, settings: S3Settings) -> StoreError:
    if "aws_access_key_id" in settings.empty:
        return StoreError(
            "'aws_access_key_id' in BACKUPS is empty on this machine, and no other credentials are found.",
            "Set the variable from which it is taken.",
        )
    if settings.profile:
        return StoreError(
            f"The profile {settings.profile!r} has no credentials.",
            "Log in (aws sso login), or mend the profile.",
        )
    half = " whole" if type(error).__name__ == "PartialCredentialsError" else ""
    return StoreError(
        f"There are no{half} credentials for S3 on this machine.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in (aws sso login), or name a 'profile'.",
    )


def _host_of(error: Exception) -> str | None:
    """Where that happened, if botocore says so: not all that is asked is S3."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    found = re.match(r"https?://(?:[^/@]*@)?[^/?]*", url) if isinstance(url, str) else None
    return _without_user(found[0]) if found else None


def _without_user(text: str) -> str:
    """``text`` without what stands before a host: names and passwords."""
    return re.sub(r"(?<=//)[^/@\s\"]*@", "", text)


def _wrong_region(error: Any, settings: S3Settings) -> StoreError:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    right = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    said = f" It is in {right}." if right else ""
    hint = f"Say 'region': '{right}' in BACKUPS." if right else "Say the right 'region' in BACKUPS."
    return StoreError(f"The bucket {settings.bucket_name!r} is in another region.{said}", hint)


def _said(error: Exception) -> str:
    """What the server or botocore says, without passwords, signatures and the queries of addresses."""
    response = getattr(error, "response", None)
    said = response.get("Error", {}).get("Message") if isinstance(response, dict) else None
    text = re.sub(r"Credential=[^\s'\"]*|Signature=[^\s'\"]*", "…", redact(str(said or error)))
    text = re.sub(r"(https?://[^\s\"?]*)\?[^\s\"]*", r"\1", _without_user(text))
    return " ".join(text.split())[:300]
