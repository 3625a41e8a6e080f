"""What a copy or a backup of a database of a sharded cluster does not carry, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.connection.cluster import Placement, list_names


def describe_losses(placement: Placement, name: str, collections: Iterable[Collection]) -> Iterator[str]:
    """Yield what is not carried of ``collections`` of the environment ``name``, a sentence for each loss."""
    read = {collection.name for collection in collections}
    sharded = [one for one in placement.sharded if one in read]
    moved = [one for one in placement.moved if one in read]
    if sharded:
        its, they = ("Its", "It is") if len(sharded) == 1 else ("Their", "They are")
        yield (
            f"{list_names(sharded)} of {name!r} {_be(sharded, 'is', 'are')} sharded. {its} shard key, zones "
            f"and chunks are not carried. {they} written without a shard key."
        )
    if moved:
        yield (
            f"{list_names(moved)} of {name!r} {_be(moved, 'was', 'were')} moved to another shard. That place "
            "is not carried."
        )
    if not placement.is_known:
        yield (
            f"{name!r} is a sharded cluster, and its user may not read config.collections. Sharded "
            "collections were recognized by their statistics, but not those moved to another shard."
        )


def describe_shard(name: str) -> str:
    """Return what is not carried of the environment ``name``, a shard that is reached without mongos."""
    return (
        f"The server of {name!r} is one shard of a cluster, reached without mongos. Of sharded collections "
        "only the part on this shard is carried, and documents that it no longer owns may be in it."
    )


def _be(names: list[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many
