"""Faults of the network between monarch and a bucket: a retry succeeds, or the run fails cleanly.

Sizes are small, because the smallest part that S3 accepts has 5 MiB.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from monarch.errors import StoreError
from monarch.stores.base import NameTaken
from monarch.stores.s3.store import S3Store
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.stores.s3.test_store import store_in
from tests.support import counts
from tests.support.servers.s3 import FaultyProxy, S3Server, run_proxy

MiB = 1 << 20
DATA = random.Random(1).randbytes(12 * MiB)
NAME = "app__2014_05_29.dmp.zst"
# Patterns of requests, by their purpose.
BEGIN, PART, COMPLETE = r"^POST .*\?uploads", r"^PUT .*partNumber=", r"^POST .*\?uploadId="
ABORT, LIST, HEAD, GET = (
    r"^DELETE .*\?uploadId=",
    r"^GET [^?]*\?(list-type|.*list-type)",
    "^HEAD",
    "^GET .*zst",
)


pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    with run_proxy(s3) as made:
        yield made


@pytest.fixture
def store(proxy: FaultyProxy, s3: S3Server, bucket: str) -> S3Store:
    """A store with short timeouts, through the proxy."""
    return store_in(replace(s3, url=proxy.url), bucket, part_size="5MiB", max_concurrency=2)


@pytest.fixture
def direct(s3: S3Server, bucket: str) -> S3Store:
    """The same bucket without the proxy."""
    return store_in(s3, bucket)


def write(store: S3Store, data: bytes = DATA) -> None:
    with store.create(NAME) as upload:
        for start in range(0, len(data), MiB):
            upload.write(data[start : start + MiB])
        upload.finish()


def read(store: S3Store, start: int = 0) -> bytes:
    with store.open(NAME, start) as stream:
        return b"".join(iter(lambda: stream.read(300_000), b""))


FAULTS: list[dict[str, Any]] = [
    {"what": "refuse"},
    {"what": "status", "code": (500, "InternalError")},
    {"what": "status", "code": (503, "SlowDown")},
    {"what": "cut request", "at": 1000},
    {"what": "cut answer", "at": 10},
    {"what": "flip request", "at": 777},
    {"what": "lose"},
]


def name_of(value: Any) -> str:
    """Return the id of a test for a fault or a request."""
    return str(value["what"] if isinstance(value, dict) else value)


WRITES = {"begin": BEGIN, "part": PART, "complete": COMPLETE}


@pytest.mark.parametrize(("fault", "which"), counts.sample(list(product(FAULTS, WRITES)), 7), ids=name_of)
def test_writes_are_retried(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, which: str, fault: dict[str, Any]
) -> None:
    if which == "complete" and fault["what"] == "flip request":
        fault = {**fault, "at": 1}  # in the name of the first XML element
    proxy.add(**fault, pattern=WRITES[which])
    if which == "begin" and fault["what"] in ("lose", "cut answer"):
        # An upload of an unknown owner exists: the name is taken, and listed as unfinished.
        with pytest.raises(NameTaken):
            write(store)
        assert [one.unfinished for one in direct.list()] == [True]
        return
    if which == "complete" and fault["what"] == "flip request":
        # The list of parts is damaged: the request is not retried.
        with pytest.raises(StoreError):
            write(store)
        assert list(direct.list()) == []
        return
    write(store)
    assert proxy.faults[0].times == 0
    assert [(one.name, one.bytes, one.unfinished) for one in direct.list()] == [(NAME, len(DATA), False)]
    assert read(direct) == DATA


@pytest.mark.parametrize("which", WRITES)
@pytest.mark.parametrize("fault", [FAULTS[0], FAULTS[-1]], ids=lambda fault: str(fault["what"]))
def test_a_write_that_fails_permanently_leaves_nothing(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, which: str, fault: dict[str, Any]
) -> None:
    """If only the answers are lost, the file may exist completely, or be unfinished."""
    proxy.add(**fault, pattern=WRITES[which], times=1000)
    with suppress(StoreError):
        write(store)
    left = [(one.bytes, one.unfinished) for one in direct.list()]
    if fault["what"] == "lose" and which == "complete":
        assert left == [(len(DATA), False)]
        assert read(direct) == DATA
    elif fault["what"] == "lose" and which == "begin":
        assert all(unfinished for _, unfinished in left)
    else:
        assert left == []


@pytest.mark.parametrize(("size", "parts"), [("5MiB", 3), ("8MiB", 2), (None, 1)])
def test_parts_have_the_configured_size(
    s3: S3Server, bucket: str, proxy: FaultyProxy, size: str | None, parts: int
) -> None:
    through = store_in(replace(s3, url=proxy.url), bucket, part_size=size)
    write(through)
    assert sum("partNumber=" in request for request in proxy.requests) == parts
    assert read(through) == DATA


@pytest.mark.parametrize("at", counts.sample([*range(65, 465, 40), 177, 263], 3))
def test_a_list_of_parts_that_is_changed_in_transit_does_not_create_a_wrong_file(
    store: S3Store, direct: S3Store, proxy: FaultyProxy, at: int
) -> None:
    """The server accepts two of these changes, as some servers do over plain HTTP: a part twice, or none."""
    proxy.add("flip request", COMPLETE, at=at)
    try:
        write(store)
    except StoreError:
        assert list(direct.list()) == []
    else:
        assert read(direct) == DATA


def test_a_server_that_stays_busy(store: S3Store, direct: S3Store, proxy: FaultyProxy) -> None:
    proxy.add("status", PART, code=(503, "SlowDown"), times=1000)
    with pytest.raises(StoreError, match=r"S3 is busy \(SlowDown\), also after"):
        write(store)
    assert list(direct.list()) == []


def test_a_part_that_is_changed_in_transit_is_sent_again(store: S3Store, proxy: FaultyProxy) -> None:
    proxy.add("flip request", PART, at=4 * MiB)
    write(store)
    assert read(store) == DATA


def test_a_lost_answer_to_the_last_request(store: S3Store, proxy: FaultyProxy) -> None:
    """The retry reports that the object exists, and it is the one just written."""
    proxy.add("lose", COMPLETE)
    write(store)
    assert [stored.unfinished for stored in store.list()] == [False]


def test_a_name_that_another_writer_takes_meanwhile(store: S3Store, direct: S3Store) -> None:
    s3_place = direct._bucket
    with store.create(NAME) as upload:
        upload.write(b"ours")
        s3_place.client.put_object(Bucket=s3_place.bucket, Key=s3_place.key(NAME), Body=b"theirs")
        with pytest.raises(NameTaken):
            upload.finish()
    assert [(stored.unfinished, stored.bytes) for stored in store.list()] == [(False, 6)]


@pytest.mark.parametrize("pattern", counts.sample([PART, COMPLETE, GET, LIST], 2))
def test_a_silent_server_is_asked_again(
    proxy: FaultyProxy, s3: S3Server, direct: S3Store, bucket: str, pattern: str
) -> None:
    through = store_in(replace(s3, url=proxy.url), bucket, patience=2, part_size="5MiB")
    proxy.add("stall", pattern, seconds=6)
    write(through)
    assert read(through) == DATA
    assert [(one.name, one.unfinished) for one in through.list()] == [(NAME, False)]
    assert proxy.faults[0].times == 0
    assert [one.bytes for one in direct.list()] == [len(DATA)]


READS: list[dict[str, Any]] = [
    {"what": "refuse"},
    {"what": "status", "code": (503, "SlowDown")},
    {"what": "cut answer", "at": 100_001},
    {"what": "lose"},
]


@pytest.mark.parametrize(
    ("fault", "times", "start"),
    counts.sample([(fault, *tries) for fault in READS for tries in ((1, 0), (2, 5 * MiB + 1))], 4),
    ids=name_of,
)
def test_reading_resumes_after_a_broken_connection(
    store: S3Store, proxy: FaultyProxy, fault: dict[str, Any], times: int, start: int
) -> None:
    write(store)
    proxy.add(**fault, pattern=GET, times=times)
    assert read(store, start) == DATA[start:]
    assert proxy.faults[0].times == 0


def test_reading_fails_if_the_connection_stays_broken(store: S3Store, proxy: FaultyProxy) -> None:
    write(store)
    with store.open(NAME) as stream:
        assert stream.read(1000) == DATA[:1000]
        proxy.add("refuse", times=10_000)
        with pytest.raises(StoreError, match=r"cannot be reached|broke"):
            b"".join(iter(lambda: stream.read(MiB), b""))


def test_an_object_replaced_while_it_is_read(store: S3Store, direct: S3Store) -> None:
    write(store)
    s3_place = direct._bucket
    with store.open(NAME) as stream:
        stream.read(10)
        s3_place.client.put_object(Bucket=s3_place.bucket, Key=s3_place.key(NAME), Body=bytes(12 * MiB))
        with pytest.raises(StoreError, match="was replaced while it was read"):
            b"".join(iter(lambda: stream.read(MiB), b""))


@pytest.mark.parametrize(
    ("do", "pattern"),
    [
        (lambda store: list(store.list()), LIST),
        (lambda store: store.prepare(), LIST),
        (lambda store: store.delete(NAME), "^DELETE"),
    ],
    ids=["list", "prepare", "delete"],
)
def test_other_requests_are_retried(
    store: S3Store, proxy: FaultyProxy, do: Callable[[S3Store], object], pattern: str
) -> None:
    write(store, b"some")
    proxy.add("status", pattern, code=(503, "SlowDown"), times=2)
    do(store)
    assert proxy.faults[0].times == 0


def test_giving_up_does_not_wait_for_a_silent_server(proxy: FaultyProxy, s3: S3Server, bucket: str) -> None:
    """The error adds that files may remain."""
    through = store_in(replace(s3, url=proxy.url), bucket, part_size="5MiB")
    upload = through.create(NAME)
    proxy.add("stall", PART, times=10, seconds=600)
    proxy.add("stall", ABORT, times=10, seconds=600)
    upload.write(DATA)
    # The test ends in time: pytest would end a test that waits for the server.
    upload.give_up()
    assert upload.left_over


def test_giving_up_an_upload_that_is_gone_reports_no_leftovers(store: S3Store) -> None:
    upload = store.create(NAME)
    upload.write(DATA)
    upload.give_up()
    assert not upload.left_over
    assert list(store.list()) == []


def test_a_server_that_does_not_list_uploads_in_progress(store: S3Store, proxy: FaultyProxy) -> None:
    """The error names the problem, and there is no endless loop."""
    proxy.add("change answer", r"^GET .*uploads", times=10_000, old=b"Upload>", new=b"Nothing>")
    with pytest.raises(StoreError, match="does not list an upload that has just begun"):
        store.create(NAME)
    proxy.clear()
    assert list(store.list()) == []


def test_a_server_that_treats_the_prefix_as_a_complete_name(
    store: S3Store, direct: S3Store, proxy: FaultyProxy
) -> None:
    """MinIO lists the uploads of one exact name, or all uploads."""
    direct.create(NAME)
    proxy.add("exact uploads", r"^GET .*\?uploads", times=10_000)
    assert [one.name for one in store.list("app__2014")] == [NAME]
    with store.create("app__2014_05_29_2.dmp.zst") as upload:
        upload.finish()
    assert {one.name for one in store.list()} == {NAME, "app__2014_05_29_2.dmp.zst"}


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b""], ids=["html", "empty"])
def test_a_server_without_s3_is_not_an_empty_bucket(store: S3Store, proxy: FaultyProxy, body: bytes) -> None:
    proxy.add("answer", times=10_000, body=body)
    for do in (store.prepare, lambda: list(store.list()), lambda: store.create(NAME)):
        with pytest.raises(StoreError):
            do()


def test_a_deletion_does_not_remove_an_upload_that_begins_meanwhile(
    store: S3Store, direct: S3Store, proxy: FaultyProxy
) -> None:
    write(store)
    second: list[Any] = []
    proxy.add("call after", "^DELETE ", do=lambda: second.append(direct.create(NAME)))
    store.delete(NAME)
    second[0].write(DATA)
    second[0].finish()
    assert read(direct) == DATA


def test_an_upload_that_finishes_during_a_listing_is_listed(
    store: S3Store, direct: S3Store, proxy: FaultyProxy
) -> None:
    upload = direct.create(NAME)
    upload.write(DATA)
    proxy.add("do", LIST, do=upload.finish)
    assert NAME in {one.name for one in store.list()}
