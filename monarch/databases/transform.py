"""What changes documents on their way from a source to a sink: the contract of transforms, and of masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from monarch.databases.transfer import CollectionSummary, Source


class Transform(Protocol):
    """Changes documents on their way from a source to a sink; masking, for example.

    Several threads may call it at the same time, with a few batches of documents under way. What it returns
    is written in the order in which the batches were read. What it raises ends the transfer, and the target
    is as it was.
    """

    def __call__(self, collection: str, documents: bytes, /) -> bytes:
        """Return ``documents`` as they are to be written.

        ``documents`` are whole documents of ``collection``, one after another, encoded as the kind of
        database does. The result has as many documents, in the same order and encoding.
        """


# Reads what a transfer has written: pairs of a collection and whole documents of it. Its arguments are
# whether a collection is read, by its name, and how many documents of each are enough; None is all.
ReadWritten = Callable[[Callable[[str], bool], int | None], Iterator[tuple[str, bytes]]]


@runtime_checkable
class WrittenCheck(Protocol):
    """A transform that also checks what was written, before it replaces anything."""

    def check_written(self, read: ReadWritten) -> None:
        """Check what ``read`` gives. What this raises ends the transfer, and the target is as it was."""


@dataclass(frozen=True)
class MaskedField:
    """A field that is masked: its ``path`` in documents of ``collection``, and its ``rule`` as it is written.

    ``path`` is "" if the rule is for whole documents.
    """

    collection: str
    path: str
    rule: str


class MaskingTransform(Transform, WrittenCheck, Protocol):
    """The transform that masks documents by the rules of a project."""

    def require_rules(self, summaries: tuple[CollectionSummary, ...]) -> None:
        """Check that there are rules for all of these collections.

        :raises MaskingError: naming those for which there are none.
        """

    def fields(self, summaries: tuple[CollectionSummary, ...]) -> tuple[MaskedField, ...]:
        """Return what is masked in these collections, sorted."""

    def notes(self, source: Source) -> tuple[str, ...]:
        """Return what people should know: definitions of ``source`` that hold values and are copied."""
