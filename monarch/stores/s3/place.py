"""The bucket, as the parts of the store see it: its client, its keys, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from monarch.store_settings import S3Settings
from monarch.stores.base import NotStored
from monarch.stores.s3.refusals import explain


@dataclass(frozen=True)
class Place:
    """A bucket behind ``client``, which is safe for threads, and what the settings say of it."""

    client: Any
    settings: S3Settings

    @property
    def bucket(self) -> str:
        return self.settings.bucket_name

    def key(self, name: str) -> str:
        """The key of the file called ``name``."""
        return self.settings.prefix + name

    def call(self, operation: str, name: str | None = None, **arguments: Any) -> dict[str, Any]:
        """Call the server, for the object of that ``name`` if there is one.

        :raises StoreError: in words for people, if it refuses or cannot be reached.
        """
        if name is not None:
            arguments["Key"] = self.key(name)
        with self.explained(operation, name):
            answer: dict[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
            return answer

    @contextmanager
    def explained(self, operation: str, name: str | None = None) -> Iterator[None]:
        """Turns what botocore raises into errors for people."""
        # Imported with the client; whoever has one has it.
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            yield
        except (BotoCoreError, ClientError, HTTPClientError, Boto3Error) as error:
            raise explain(error, self.settings, operation, name) from error

    def find(self, name: str) -> dict[str, Any] | None:
        """What the server says of the object called ``name``; None if there is none."""
        try:
            return self.call("head_object", name)
        except NotStored:
            return None
