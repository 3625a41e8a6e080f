"""What masks the documents of each collection, by the rules of a project."""

from __future__ import annotations

from collections.abc import Callable

from monarch.databases.mongo.catalog.model import BUCKETS
from monarch.databases.mongo.masking.fields import FieldMasks
from monarch.databases.mongo.masking.functions import FunctionMasks
from monarch.databases.mongo.masking.journal import OWN_RULES
from monarch.privacy.key import MaskingKey
from monarch.privacy.masks import CollectionMasks, CollectionRule, Masks
from monarch.privacy.rules import MaskingError, WholeRule

MaskDocuments = Callable[[bytes], bytes]
_KEEPING = ("keep", "public")


class MongoMasks:
    """The rules of a project and those for monarch's own collections, under ``key``.

    One thread at a time may mask.
    """

    def __init__(self, masks: Masks, key: MaskingKey) -> None:
        self._masks = masks
        self._key = key
        self._compiled: dict[str, MaskDocuments] = {}

    def rule(self, collection: str) -> CollectionRule | None:
        """Return what becomes of documents of ``collection``; None if nothing says that."""
        return OWN_RULES.get(collection) or self._masks.find(collection)

    def keeps(self, collection: str) -> bool:
        """Whether documents of ``collection`` stay as they are.

        :raises MaskingError: if nothing says what becomes of them, or they are buckets of a time series.
        """
        if collection.startswith(BUCKETS):
            raise MaskingError(
                f"{collection.removeprefix(BUCKETS)!r} is a time series, whose buckets cannot be masked.",
                "Leave it out, or copy it from its server, which reads its documents.",
            )
        rule = self.rule(collection)
        if rule is None:
            raise MaskingError(
                f"migrations/privacy.py does not say what becomes of {collection!r}.",
                "Add its rules: monarch suggest_masks ENVIRONMENT",
            )
        if isinstance(rule, CollectionMasks):
            whole = [one.name for one in rule.values() if isinstance(one, WholeRule)]
            return "*" in rule and len(whole) == len(rule) and set(whole) <= set(_KEEPING)
        return isinstance(rule, WholeRule)

    def mask(self, collection: str, documents: bytes) -> bytes:
        """Return ``documents`` of ``collection`` as its rules say.

        :raises MaskingError: if a value cannot be masked, or no rule names it.
        """
        if self.keeps(collection):
            return documents
        compiled = self._compiled.get(collection)
        if compiled is None:
            compiled = self._compiled[collection] = self._compile(collection)
        return compiled(documents)

    def _compile(self, collection: str) -> MaskDocuments:
        rule = self.rule(collection)
        if isinstance(rule, CollectionMasks):
            return FieldMasks(collection, rule.tree(), self._key).mask
        assert rule is not None
        assert not isinstance(rule, WholeRule)
        return FunctionMasks(collection, rule, self._key).mask
