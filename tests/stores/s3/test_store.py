"""The store in a bucket, on a real server."""

from __future__ import annotations

import itertools
import logging
from contextlib import suppress

import pytest

from monarch.errors import StoreError
from monarch.stores import parse_store
from monarch.stores.base import Store
from monarch.stores.s3.settings import S3Settings
from monarch.stores.s3.store import S3Store
from monarch.stores.s3.upload import MOST_PARTS, size_of_part
from tests.stores.contract import HALF, Names, StoreContract
from tests.support.servers.s3 import S3Server

_buckets = itertools.count(1)


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """A new bucket."""
    name = f"backups-{next(_buckets)}"
    s3.client().create_bucket(Bucket=name)
    return name


def store_in(s3: S3Server, bucket: str, page: int = 1_000, patience: float = 60, **more: object) -> S3Store:
    settings = parse_store({"S3": s3.settings(bucket, **more)})
    assert isinstance(settings, S3Settings)
    return S3Store(settings, page, patience)


def test_no_token_is_logged(s3: S3Server, bucket: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with suppress(StoreError):  # the server does not know the token
        list(store_in(s3, bucket, aws_session_token="hush/token").list())
    assert "GET /" in caplog.text
    assert "hush/token" not in caplog.text


@pytest.mark.parametrize(
    ("smallest", "grows", "most"),
    [(16 << 20, True, 13 * 10**12), (5 << 20, True, 5 * 10**12), (64 << 20, False, 6 * 10**11)],
)
def test_part_sizes_allow_the_largest_backups(smallest: int, grows: bool, most: int) -> None:
    sizes = [size_of_part(number, smallest, grows=grows) for number in range(1, MOST_PARTS + 1)]
    assert sum(sizes) > most
    assert max(sizes) <= 5 << 30
    assert sizes[0] == smallest
    assert len(set(sizes[:1000])) == 1


class TestS3Store(StoreContract):
    prefix = "the team's/backups"
    many, rounds = 25, 3

    @pytest.fixture
    def store(self, s3: S3Server, bucket: str) -> Store:
        return store_in(s3, bucket, prefix=self.prefix, page=10)

    @pytest.fixture
    def again(self, s3: S3Server, bucket: str) -> Store:
        return store_in(s3, bucket, prefix=self.prefix, page=10)

    @pytest.fixture
    def nowhere(self, s3: S3Server, bucket: str) -> Store:
        """Return a store with a prefix that no object has."""
        return store_in(s3, bucket, prefix="nothing/yet")

    def die_writing(self, store: Store, names: Names) -> None:
        assert isinstance(store, S3Store)
        for name in names:
            upload = store.create(name)
            upload.write(HALF)

    def intrude(self, store: Store, name: str, data: bytes) -> None:
        assert isinstance(store, S3Store)
        store._bucket.client.put_object(Bucket=store._bucket.bucket, Key=store._bucket.key(name), Body=data)
