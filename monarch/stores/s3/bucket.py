"""The bucket as the modules of the store use it: client, keys, and errors for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monarch.errors import StoreError
from monarch.stores.base import NotStored
from monarch.stores.s3.errors import code_of, explain

if TYPE_CHECKING:
    from monarch.stores.s3.settings import S3Settings


@dataclass(frozen=True)
class Bucket:
    """A bucket with its settings and a ``client``, which several threads may use."""

    client: Any
    settings: S3Settings

    @property
    def bucket(self) -> str:
        return self.settings.bucket_name

    def key(self, name: str) -> str:
        """The key of the file called ``name``."""
        return self.settings.prefix + name

    def call(self, operation: str, name: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call the server, with the key of the object ``name`` if one is given.

        :raises StoreError: if it refuses or cannot be reached.
        """
        if name is not None:
            arguments["Key"] = self.key(name)
        with self.explained(operation, name):
            answer: dict[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
            return answer

    @contextmanager
    def explained(self, operation: str, name: str | None = None) -> Iterator[None]:
        """Turn what botocore raises inside into errors for people.

        :raises StoreError: in its place.
        """
        # These are loaded already: the client needs them.
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.parsers import ResponseParserError

        try:
            yield
        except (BotoCoreError, ClientError, HTTPClientError, ResponseParserError, Boto3Error) as error:
            raise explain(error, self.settings, operation, name) from error

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the server's HeadObject of the object called ``name``; None if there is none."""
        try:
            return self.call("head_object", name)
        except NotStored:
            return None
        except StoreError as error:
            if code_of(error.__cause__) != "400":
                raise
            # The reply to HeadObject has no error text; the reply to this request has one.
            self.list_objects(Prefix=self.key(name), MaxKeys=1)
            raise

    def list_objects(self, **arguments: Any) -> dict[str, Any]:
        """Return a page of ListObjectsV2.

        :raises StoreError: if the reply is something else, which would look like an empty page.
        """
        page = self.call("list_objects_v2", **arguments)
        if "KeyCount" not in page and "Name" not in page:
            raise StoreError(
                f"{self.settings.endpoint_url or 'AWS'} does not answer like S3.",
                "Check 'endpoint_url' in BACKUPS, and its port.",
            )
        return page
