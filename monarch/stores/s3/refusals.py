"""What a refusal of S3 means, and what to do about it."""

from __future__ import annotations

from typing import Any

from monarch.errors import StoreError
from monarch.secret import redact
from monarch.store_settings import S3Settings
from monarch.stores.base import NotStored

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
_NO_CREDENTIALS = (
    "There are no credentials for S3 on this machine.",
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in (aws sso login), or name a 'profile'.",
)
_NO_REGION = ("The region of the bucket is not known.", "Say 'region' in BACKUPS, or set AWS_REGION.")
_PROFILES = "See aws configure list-profiles, and the variable AWS_PROFILE."
_BAD_NAME = ("{bucket!r} cannot be the name of a bucket: {said}", _SETTINGS)
_BUSY = ("S3 could not do it now ({code}), however often it was asked.", "Try again later.")
# By the server's word, or the name of botocore's error, where that is all there is to know.
_TOLD = {
    "InvalidAccessKeyId": ("{where} does not know this access key.", f"Is it of another server? {_SETTINGS}"),
    "SignatureDoesNotMatch": ("The secret access key does not go with the access key.", _SETTINGS),
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
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError"), _NO_CREDENTIALS),
    "CredentialRetrievalError": _NO_CREDENTIALS,
    "ProfileNotFound": (
        "A profile of AWS is not known here: {said}",
        _PROFILES,
    ),
    **dict.fromkeys(("NoRegionError", "InvalidRegionError"), _NO_REGION),
    **dict.fromkeys(
        ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "503"), _BUSY
    ),
}
_NO_KEY, _NO_BUCKET = ("NoSuchKey", "NoSuchVersion"), ("NoSuchBucket", "404")
_DENIED = ("AccessDenied", "403", "AllAccessDisabled")
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
    code, bucket = code_of(error), settings.bucket_name
    what = f"{name!r} in the bucket {bucket!r}" if name else f"the bucket {bucket!r}"
    where = settings.endpoint_url or "AWS"
    if code in _NO_KEY or (code == "404" and name):
        return NotStored(f"There is no {what}.")
    if code in _NO_BUCKET:
        return StoreError(
            f"There is no bucket {bucket!r} at {where}.",
            f"Create it (aws s3 mb s3://{bucket}), or correct 'bucket_name' in migrations/settings.py.",
        )
    if code in _DENIED:
        action = ACTIONS.get(operation, operation)
        hint = f"Allow {action} to this user or role; the README has a policy."
        locked = " Perhaps a lock on it does." if operation == "delete_object" else ""
        return StoreError(f"S3 denies {action} on {what}.{locked}", hint)
    if code in _WRONG_REGION:
        return _wrong_region(error, settings)
    told = _TOLD.get(code or type(error).__name__)
    said = _said(error)
    if told is not None:
        words = {"bucket": bucket, "what": what, "where": where, "code": code, "said": said}
        return StoreError(told[0].format(**words), told[1])
    if code:
        return StoreError(f"S3 refuses {operation} on {what}: {code}, {said}", _SETTINGS)
    return StoreError(
        f"{where} cannot be reached: {said}",
        "Is it running, and is there a network? Is 'endpoint_url' or 'region' in BACKUPS right?",
    )


def _wrong_region(error: Any, settings: S3Settings) -> StoreError:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    right = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    said = f" It is in {right}." if right else ""
    hint = f"Say 'region': '{right}' in BACKUPS." if right else "Say the right 'region' in BACKUPS."
    return StoreError(f"The bucket {settings.bucket_name!r} is in another region.{said}", hint)


def _said(error: Exception) -> str:
    response = getattr(error, "response", None)
    said = response.get("Error", {}).get("Message") if isinstance(response, dict) else None
    return " ".join(redact(str(said or error)).split())[:300]
