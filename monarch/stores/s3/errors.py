"""Explaining the errors of S3: what they mean, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from monarch.errors import StoreError
from monarch.stores.base import DeletionDenied, NotStored
from monarch.system.secrets import redact

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings

# The permission that each operation needs.
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
_NO_REGION = ("The region of the bucket is not known.", "Set 'region' in BACKUPS, or AWS_DEFAULT_REGION.")
_FOUND = "It comes from this machine: from a variable, the profile or the role."
_ODD = ("{where} does not answer like S3.", "Check 'endpoint_url' in BACKUPS, and its port.")
_PROFILES = "Run `aws configure list-profiles`, and check the variable AWS_PROFILE."
_BAD_NAME = ("{bucket!r} cannot be the name of a bucket: {message}", _SETTINGS)
_BUSY = ("S3 is busy ({code}), also after several tries.", "Try again later.")
# Message and hint by the code of the server or, without one, the class of botocore's error.
_EXPLANATIONS = {
    "InvalidAccessKeyId": (
        "{where} does not know this access key.",
        "Check that it is not of another server. {keys}",
    ),
    "SignatureDoesNotMatch": ("The secret access key does not belong to the access key.", "{keys}"),
    "InvalidObjectState": (
        "{what} is in an archive class, which cannot be read at once.",
        "Restore it first: aws s3api restore-object",
    ),
    "ConditionalRequestConflict": ("Another program wrote {what} at the same moment.", "Try again."),
    "ResponseParserError": _ODD,
    "ConfigParseError": (
        "The configuration of AWS on this machine cannot be read: {message}",
        "Fix that file.",
    ),
    "NoSuchUpload": ("The upload of {what} was removed while it was written.", "Run the command again."),
    "BadDigest": (
        "{what} did not arrive as it was sent.",
        "Something on the network changes bytes. Try again.",
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"), _EXPIRED
    ),
    **dict.fromkeys(("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError"), _EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired"), _SKEWED),
    **dict.fromkeys(("InvalidBucketName", "ParamValidationError"), _BAD_NAME),
    "ProfileNotFound": (
        "An AWS profile is not known on this machine: {message}",
        _PROFILES,
    ),
    "NoRegionError": _NO_REGION,
    "InvalidRegionError": ("There is no such region: {message}", _SETTINGS),
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
_BAD_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|hostname '.*' doesn't match")
_REDIRECTS = (301, 302, 307, 308)
# Servers that do not support an operation answer with one of these.
NOT_SUPPORTED = ("NotImplemented", "501", "MethodNotAllowed", "405")
NOT_LISTED = ("AccessDenied", "403", *NOT_SUPPORTED)


def code_of(error: BaseException | None) -> str:
    """Return the error code of the server's reply; empty if ``error`` is not from the server."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def explain(error: Exception, settings: S3Settings, operation: str, name: str | None) -> StoreError:
    """Return the error for people that ``error`` of botocore means. It contains no secret.

    :param operation: the method of the client that was called.
    :param name: the file that it was called for, if any.
    """
    code, message, bucket = code_of(error), _message_of(error), settings.bucket_name
    what = f"{name!r} in the bucket {bucket!r}" if name else f"the bucket {bucket!r}"
    where = _host_of(error) or settings.endpoint_url or "AWS"
    gone = code == "NoSuchUpload" and operation in ("abort_multipart_upload", "list_parts")
    if code in _NO_KEY or (code == "404" and name) or gone:
        return NotStored(f"There is no {what}.")
    if code in _NO_BUCKET:
        option = f" --endpoint-url {settings.endpoint_url}" if settings.endpoint_url else ""
        also = " and 'endpoint_url'" if settings.endpoint_url else ""
        return StoreError(
            f"There is no bucket {bucket!r} at {where}.",
            f"Create it (aws{option} s3 mb s3://{bucket}), or correct 'bucket_name'{also} in BACKUPS.",
        )
    if code in _DENIED:
        return _denied(error, operation, what, message)
    if (target := _redirected_to(error)) is not None:
        return _redirected(target, settings)
    if code in _WRONG_REGION:
        return _wrong_region(error, settings)
    if type(error).__name__ == "SSLError" and _BAD_CERTIFICATE.search(message):
        return _not_trusted(where, message, settings)
    if type(error).__name__ in _NO_KEYS:
        return _without_credentials(error, settings)
    explanation = _EXPLANATIONS.get(code or type(error).__name__)
    if explanation is not None:
        words = {"bucket": bucket, "what": what, "where": where, "code": code, "message": message}
        words["keys"] = _SETTINGS if settings.aws_access_key_id else _FOUND
        return StoreError(*(text.format(**words) for text in explanation))
    if code:
        locked = settings.object_lock is not None and operation == "create_multipart_upload"
        hint = "Check that the bucket was created with object lock." if locked else _SETTINGS
        return StoreError(f"S3 refuses {operation} on {what}: {code}, {message}", hint)
    return StoreError(
        f"{where} cannot be reached: {message}",
        "Check that it is running, the network, and 'endpoint_url' (http or https) or 'region' in BACKUPS.",
    )


def _denied(error: Any, operation: str, what: str, message: str) -> StoreError:
    if getattr(error, "operation_name", "") == "AssumeRole":
        return StoreError(
            f"The role cannot be assumed: {message}",
            "Check 'role_arn' in BACKUPS, and whom that role trusts.",
        )
    # AWS names the missing permission, which may be another one: for an encryption key, or for tags.
    missing = re.search(r"not authorized to perform: (\S+)", message)
    action = missing[1] if missing else ACTIONS.get(operation, operation)
    hint = f"Allow {action} to this user or role; the manual has a policy (Stores)."
    if operation == "delete_object":
        return DeletionDenied(f"S3 denies {action} on {what}. An object lock may forbid it.", hint)
    return StoreError(f"S3 denies {action} on {what}.", hint)


def _without_credentials(error: Exception, settings: S3Settings) -> StoreError:
    if "aws_access_key_id" in settings.empty:
        return StoreError(
            "'aws_access_key_id' in BACKUPS is empty on this machine, and no other credentials are found.",
            "Set the variable that it comes from.",
        )
    if settings.profile:
        return StoreError(
            f"The profile {settings.profile!r} has no credentials.",
            "Log in (aws sso login), or correct the profile.",
        )
    partial = " complete" if type(error).__name__ == "PartialCredentialsError" else ""
    return StoreError(
        f"There are no{partial} credentials for S3 on this machine.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, log in (aws sso login), or name a 'profile'.",
    )


def _host_of(error: Exception) -> str | None:
    """Return the address of the server that failed, if botocore gives it: it may be another than S3."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    found = re.match(r"https?://(?:[^/@]*@)?[^/?]*", url) if isinstance(url, str) else None
    return _without_user(found[0]) if found else None


def _without_user(text: str) -> str:
    """Return ``text`` without the names and passwords before hosts."""
    return re.sub(r"(?<=//)[^/@\s\"]*@", "", text)


def refuse_redirects(response: Any, operation: Any, **_: Any) -> None:
    """Refuse a redirect that names no region, before botocore asks the same server for the region for ever.

    A handler of botocore's event ``needs-retry``.
    """
    from botocore.exceptions import ClientError

    if response is None or response[0].status_code not in _REDIRECTS:
        return
    error = ClientError(response[1], operation.name)
    if _redirected_to(error) is not None or not _region_of(error):
        raise error


def _redirected_to(error: Any) -> str | None:
    """Return the address that a server redirects to, without passwords and queries; None if it does not."""
    response = getattr(error, "response", None)
    about = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    target = about.get("HTTPHeaders", {}).get("location")
    if about.get("HTTPStatusCode") not in _REDIRECTS or not target or _region_of(error):
        return None
    return _without_user(re.split(r"[?#]", target)[0])


def _redirected(target: str, settings: S3Settings) -> StoreError:
    server = settings.endpoint_url or "AWS"
    path = re.sub(r"https?://[^/]*", "", server)
    host = re.match(rf"https?://[^/]+(?={re.escape(path)}/{re.escape(settings.bucket_name)}(/|$))", target)
    if host and settings.endpoint_url:
        hint = f"Set 'endpoint_url': '{host[0]}{path}' in BACKUPS."
    else:
        hint = "Check 'endpoint_url' in BACKUPS: use the address at which the server itself answers."
    return StoreError(f"{server} redirects to {target}, and monarch does not follow.", hint)


def _not_trusted(where: str, message: str, settings: S3Settings) -> StoreError:
    # Either OpenSSL or urllib3 compares the names.
    reason = re.sub(r".*certificate verify failed: | \(_ssl.*|.*(?=hostname ')", "", message)
    if "match" in reason:
        hint = "Use the host name of the certificate in 'endpoint_url' in BACKUPS."
    elif "expired" in reason or "not yet valid" in reason:
        hint = "Renew the certificate of the server, and check the clock of this machine."
    elif settings.ca_bundle:
        hint = f"Check 'ca_bundle' in BACKUPS ({settings.ca_bundle}): it is of another authority."
    else:
        hint = "If its authority is your own, set 'ca_bundle' in BACKUPS to the PEM file of that."
    return StoreError(f"The certificate of {where} is not trusted: {reason}.", hint)


def _region_of(error: Any) -> str | None:
    """Return the region that the server names as the right one, if it does."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return str(found) if found else None


def _wrong_region(error: Any, settings: S3Settings) -> StoreError:
    right = _region_of(error)
    where = f" It is in {right}." if right else ""
    hint = f"Set 'region': '{right}' in BACKUPS." if right else "Set the right 'region' in BACKUPS."
    return StoreError(f"The bucket {settings.bucket_name!r} is in another region.{where}", hint)


def _message_of(error: Exception) -> str:
    """Return the message of the server or of botocore, without passwords, signatures and URL queries."""
    response = getattr(error, "response", None)
    message = response.get("Error", {}).get("Message") if isinstance(response, dict) else None
    text = re.sub(r"Credential=[^\s'\"]*|Signature=[^\s'\"]*", "…", redact(str(message or error)))
    text = re.sub(r"(https?://[^\s\"?]*)\?[^\s\"]*", r"\1", _without_user(text))
    return " ".join(text.split())[:300]
