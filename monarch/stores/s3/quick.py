"""Reading thousands of small objects quickly: signed by botocore, sent by the standard library.

A request through boto3's client takes more than a millisecond of this process, which is ten times what its
reply is worth. So one request goes that way, and shows where objects are and how requests are signed. The
others are the same but for the key. A reply that is not simply the object is left to the client: it
tries again, follows a bucket into its region, and its errors are explained.
"""

from __future__ import annotations

import os
import re
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from monarch.log import READS, STORE, log
from monarch.stores.base import SmallFile
from monarch.stores.s3.client import MOST_AT_ONCE
from monarch.stores.s3.futures import start

if TYPE_CHECKING:
    from monarch.stores.s3.bucket import Bucket
    from monarch.stores.s3.settings import S3Settings

# Whatever is larger is left to the client.
_LARGEST = 1 << 20
# The client waits longer.
_SECONDS = 10
# How many are read by one thread, one after another.
_IN_A_ROW = 100
_MOST_FAILURES = 5
_EXPECTED = (200, 206, 404, 416)  # gone, or empty
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^,]*/(?P<region>[^/,]+)/(?P<service>s3)/aws4_request,")
_WHOLE = re.compile(r"bytes 0-(\d+)/(\d+)")


def read_quickly(
    bucket: Bucket, names: Sequence[str], largest: int, read: Callable[[str, int], SmallFile], few: int
) -> Iterator[SmallFile]:
    """Yield the files called ``names`` in no order, with at least their first ``largest`` bytes.

    :param read: reads one of them by the client.
    :param few: up to so many are read by that alone.
    """
    quick = None
    if len(names) > few:
        with watch(bucket.client) as seen:
            yield read(names[0], largest)
        quick = open_quick_reader(bucket, seen, names[0])
        names = names[1:]
        log(STORE, f"reading {len(names):,} small files of {bucket.settings.bucket_name}")

    def read_some(some: Sequence[str]) -> list[SmallFile]:
        return [(quick and quick.read(name, largest)) or read(name, largest) for name in some]

    # One after another, each would cost a round trip. A thread for each would cost more than its request.
    size = max(1, min(_IN_A_ROW, len(names) // MOST_AT_ONCE)) if quick else 1
    waiting: deque[Future[list[SmallFile]]] = deque()
    try:
        for first in range(0, len(names), size):
            waiting.append(start(read_some, names[first : first + size]))
            if len(waiting) >= MOST_AT_ONCE:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        if quick:
            quick.close()


@dataclass
class Watched:
    """What a request of boto3's client looked like. Its fields are None if it sent none."""

    signer: Any = None
    request: Any = None


@contextmanager
def watch(client: Any) -> Iterator[Watched]:
    """Watch the requests for objects that ``client`` sends in the context. It yields the last of them."""
    seen = Watched()

    def note_signer(request_signer: Any, **_: Any) -> None:
        seen.signer = request_signer

    def note_request(request: Any, **_: Any) -> None:
        seen.request = request

    handlers = (("before-sign.s3.GetObject", note_signer), ("before-send.s3.GetObject", note_request))
    for event, handler in handlers:
        client.meta.events.register(event, handler)
    try:
        yield seen
    finally:
        for event, handler in handlers:
            client.meta.events.unregister(event, handler)


def open_quick_reader(bucket: Bucket, seen: Watched, name: str) -> QuickReader | None:
    """Return a reader that sends what ``seen`` was, which was a request for the file ``name``.

    None if this is not possible: the network has a proxy, or the requests are signed in another way.
    """
    from botocore.utils import get_environ_proxies

    if seen.signer is None or seen.request is None:
        return None
    url, key = seen.request.url.partition("?")[0], _quoted(name)
    signed = _SIGNED.match(_text(seen.request.headers.get("Authorization", "")))
    if not signed or not url.endswith("/" + key) or get_environ_proxies(url):
        return None
    with suppress(OSError):  # the client explains it
        trusted = _trusted(bucket.settings) if url.startswith("https:") else None
        agent = _text(seen.request.headers.get("User-Agent", ""))
        return QuickReader(url.removesuffix(key), seen.signer, signed["region"], agent, trusted)
    return None


@dataclass
class QuickReader:
    """Reads the objects below the address ``base``. Several threads may use it.

    After some requests that failed it asks for nothing more.
    """

    base: str
    signer: Any
    region: str
    agent: str
    trusted: ssl.SSLContext | None
    _idle: list[HTTPConnection] = field(default_factory=list)
    _failures: int = 0

    def read(self, name: str, largest: int) -> SmallFile | None:
        """Return the file ``name`` with at least its first ``largest`` bytes; None to ask the client."""
        if self._failures >= _MOST_FAILURES:
            return None
        connection = self._idle.pop() if self._idle else self._connection()
        most = min(largest, _LARGEST)
        try:
            response = self._get(connection, _quoted(name), most)
            text = _body(response, largest)
            if response.status not in _EXPECTED or response.length is None:
                self._failures += 1
        except Exception as error:  # of the network, TLS or the credentials: the client will meet it too
            self._failures += 1
            connection.close()
            if not isinstance(error, (OSError, HTTPException)):
                self._failures = _MOST_FAILURES
            return None
        if text is None:
            connection.close()
            return None
        self._idle.append(connection)
        return SmallFile(name, text, response.getheader("ETag"))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self.base)
        assert parts.hostname is not None
        if self.trusted is None:
            return HTTPConnection(parts.hostname, parts.port, timeout=_SECONDS)
        return HTTPSConnection(parts.hostname, parts.port, timeout=_SECONDS, context=self.trusted)

    def _get(self, connection: HTTPConnection, key: str, most: int) -> HTTPResponse:
        from botocore.awsrequest import AWSRequest

        request: Any = AWSRequest("GET", self.base + key, {"Host": self._host})
        # The keys of a role change while they are used: each request gets those of now.
        self.signer.get_auth_instance("s3", self.region, "s3v4").add_auth(request)
        headers = {name: _text(value) for name, value in request.headers.items()}
        headers |= {"Range": f"bytes=0-{most - 1}", "User-Agent": self.agent}
        log(STORE, f"GET {self.base}{key}", READS)
        connection.request("GET", self._path + key, headers=headers)
        return connection.getresponse()

    @cached_property
    def _host(self) -> str:
        return urlsplit(self.base).netloc

    @cached_property
    def _path(self) -> str:
        return urlsplit(self.base).path


def _body(response: HTTPResponse, largest: int) -> bytes | None:
    """Return what was asked for; None if the reply is something else, or only a part of it."""
    if response.length is None or response.length > _LARGEST:
        return None
    text = response.read()
    if response.status == 200:
        return text
    sent = _WHOLE.fullmatch(response.getheader("Content-Range", ""))
    if response.status != 206 or sent is None or int(sent[1]) + 1 != len(text):
        return None
    return text if len(text) >= min(largest, int(sent[2])) else None


def _trusted(settings: S3Settings) -> ssl.SSLContext:
    """Return the authorities that botocore trusts for a client with these ``settings``."""
    from botocore.httpsession import get_cert_path
    from botocore.session import get_session

    session: Any = get_session()
    if settings.profile:
        session.set_config_variable("profile", settings.profile)
    file = settings.ca_bundle or session.get_config_variable("ca_bundle")
    return ssl.create_default_context(
        cafile=file or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(True)
    )


def _quoted(name: str) -> str:
    return quote(name, safe="-._~")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
