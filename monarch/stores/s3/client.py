"""Making a client of S3 from the settings. This machine's own configuration gives only credentials."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from monarch.errors import StoreError
from monarch.log import STORE, log
from monarch.stores.s3.errors import explain, refuse_redirects

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings

_CONNECT_SECONDS = 10
_ATTEMPTS = 5
# Cleaning up does not wait long for a server that does not answer.
HASTE_SECONDS, _HASTY_ATTEMPTS = 5, 2
# How many small files are read at the same time.
MOST_AT_ONCE = 32


def make_client(settings: S3Settings, patience: float) -> Any:
    """Return a client for as many threads as may be active.

    :param patience: seconds without an answer after which a request is repeated; up to `HASTE_SECONDS`, it
        is repeated only once.
    :raises StoreError: if there are no credentials, or this machine does not know a profile of the settings.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError:
        raise StoreError("Backups in S3 need boto3.", "pip install boto3") from None
    _keep_quiet()
    secret, token = settings.aws_secret_access_key, settings.aws_session_token
    try:
        session = boto3.session.Session(
            botocore_session=_new_session(),
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=secret.reveal() if secret else None,
            aws_session_token=token.reveal() if token else None,
            profile_name=settings.profile,
            region_name=settings.region,
        )
        if settings.role_arn:
            session = _in_role(session, settings.role_arn)
        client = session.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            verify=settings.ca_bundle,
            config=_config(settings, patience),
        )
        client.meta.events.register_first("needs-retry.s3", refuse_redirects)
        client.meta.events.register("before-send.s3", _log_request)
        return client
    except (BotoCoreError, ValueError) as error:
        raise explain(error, settings, "create_client", None) from error


def _log_request(request: Any, **_: Any) -> None:
    """Log a request that is sent, each time it is. Secrets are in its headers, not in its address."""
    log(STORE, f"{request.method} {request.url}")


def _new_session() -> Any:
    """Return a session of botocore that reads times quickly.

    Its own way takes three quarters of the time in which a listing is read.
    """
    from botocore.session import get_session

    session: Any = get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    return session


def parse_time(value: Any) -> datetime:
    """Return the time ``value`` of an answer, in UTC if that is how the server writes it."""
    from botocore.utils import parse_timestamp

    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)


def _config(settings: S3Settings, patience: float) -> Any:
    from botocore.config import Config

    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=patience,
        retries={
            "mode": "standard",
            "total_max_attempts": _ATTEMPTS if patience > HASTE_SECONDS else _HASTY_ATTEMPTS,
        },
        max_pool_connections=max(MOST_AT_ONCE, settings.max_concurrency),
        s3=cast(Any, {"addressing_style": settings.addressing}),
        # Not every server knows the newer checksums; Content-MD5, which all know, is sent instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _keep_quiet() -> None:
    """Keep boto3's debug messages, which contain session tokens, out of a program's logs."""
    for name in ("boto3", "botocore"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)


def _in_role(session: Any, role_arn: str) -> Any:
    """Return a session that assumes the role, and renews it before its credentials expire."""
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    credentials = session.get_credentials()
    if credentials is None:
        raise NoCredentialsError
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=session._session.create_client,
        source_credentials=credentials,
        role_arn=role_arn,
        extra_args={"RoleSessionName": "monarch"},
    )
    inner = _new_session()
    inner._credentials = DeferredRefreshableCredentials(
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.session.Session(botocore_session=inner, region_name=session.region_name)
