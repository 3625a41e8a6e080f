"""What pymongo's errors say of a write that failed: the part that their texts bury in a dict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bson.errors import InvalidDocument
from pymongo.errors import BulkWriteError, OperationFailure

# A duplicate key's message ends with the values, which are somebody's.
_DUPLICATE = re.compile(r"dup key: \{.*", re.DOTALL)
# Other messages that quote a document or a value: of an index that cannot hold it, or of a conversion.
_QUOTING = re.compile(
    r"(Can't extract geo keys|Failed to (?:parse|convert) ?\w*|Error parsing date string|Could not convert"
    r"|language override unsupported|Unknown GeoJSON type|longitude/latitude is out of bounds"
    r"|geo element must be an array or object) ?(?:: |['\"{(]).*",
    re.DOTALL,
)
# The driver's own message about a value that it cannot encode. Some versions quote the document before it.
_DOCUMENT = re.compile(r"^Invalid document .* \| ", re.DOTALL)
_ENCODED = re.compile(r"encode object: .*(?=, of type: )", re.DOTALL)
# A write concern that asks for more members than there are, or for an unknown group of them; and one that was
# not satisfied in time. The write itself is made.
_UNKNOWN_GROUP, _TOO_FEW_MEMBERS, _TIMED_OUT = 79, 100, 64
_NOT_REPLICATED = "cannot use 'w' > 1 when a host is not replicated"
_IDENTITY = re.compile(r"\{ ?_id: .*?\}", re.DOTALL)


def without_values(words: str) -> str:
    """Return the message of a server without the document, or the value, that it quotes."""
    words = _DUPLICATE.sub("dup key", words)
    return _IDENTITY.sub("{_id: …}", _QUOTING.sub(r"\1 …", words))


def describe_driver_error(error: BaseException) -> str | None:
    """Return the reason that the server, or the driver, gives for ``error``, without the values of documents.

    :return: None if its own text says as much.
    """
    if isinstance(error, BulkWriteError):
        return _describe_batch(error)
    if isinstance(error, OperationFailure):
        details = error.details or {}
        words = _words({"errmsg": str(error).partition(", full error: ")[0], **details})
        return f"{type(error).__name__}: {words}{_about_members(error.code, words)}"
    if isinstance(error, InvalidDocument):
        words = _ENCODED.sub("encode an object", _DOCUMENT.sub("", str(error)))
        return f"{type(error).__name__}: {words}"
    return None


def _describe_batch(error: BulkWriteError) -> str | None:
    details: Mapping[str, Any] = error.details or {}
    failed = details.get("writeErrors") or []
    if not failed:
        unconfirmed = details.get("writeConcernErrors") or []
        if not unconfirmed:
            return None
        words = _words(unconfirmed[0])
        return f"{type(error).__name__}: {words}{_about_members(unconfirmed[0].get('code'), words)}"
    first = failed[0]
    index = f", the first at index {first['index']}" if "index" in first else ""
    many = "1 write" if len(failed) == 1 else f"{len(failed)} writes"
    return f"{type(error).__name__}: {_words(first)} ({many} of the batch failed{index})"


def _about_members(code: int | None, words: str) -> str:
    """Return what to know about a write whose write concern asks for more members than there are."""
    if _NOT_REPLICATED in words:
        return " (this server is not a replica set: use w=1 or w='majority')"
    if code == _UNKNOWN_GROUP:
        return " (it was written, but the server knows no write concern of that name: use w='majority')"
    if code == _TOO_FEW_MEMBERS:
        return " (it was written, but too few members can confirm it: use w='majority')"
    return " (it was written, but not confirmed in time)" if code == _TIMED_OUT else ""


def _words(found: Mapping[str, Any]) -> str:
    """Return the message in a server's answer, with the keys of an index and the rules of a validator."""
    fields = ", ".join(map(str, found.get("keyPattern") or ()))
    keys = f"dup key: {fields}" if fields else ""
    # A function, because backslashes in a text would be read as references to groups.
    words = _DUPLICATE.sub(lambda _: keys, str(found.get("errmsg"))).strip()
    words = without_values(words)
    information = found.get("errInfo")
    details = information.get("details") if isinstance(information, Mapping) else None
    reasons = list(dict.fromkeys(_reasons(details)))
    return f"{words}: {'; '.join(reasons)}" if reasons else words


def _reasons(details: Any, field: str = "") -> Iterator[str]:
    """Yield the rules of a validator that a document breaks (MongoDB's manual, "Schema Validation")."""
    if isinstance(details, list | tuple):
        for one in details:
            yield from _reasons(one, field)
    if not isinstance(details, Mapping):
        return
    missing = details.get("missingProperties")
    if missing:
        yield f"without {', '.join(map(str, missing))}"
    field = ".".join(filter(None, (field, str(details.get("propertyName") or ""))))
    nested = [
        details[name]
        for name in ("schemaRulesNotSatisfied", "propertiesNotSatisfied", "details", "clausesNotSatisfied")
        if name in details
    ]
    for one in nested:
        yield from _reasons(one, field)
    operator = details.get("operatorName")
    if not nested and not missing and operator:
        yield f"{field + ' breaks ' if field else ''}{operator}"
