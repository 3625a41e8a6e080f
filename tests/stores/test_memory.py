from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monarch.stores.base import Store
from tests.stores.contract import HALF, Names, StoreContract
from tests.support.stores.memory import Memory, MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def memory(self) -> Memory:
        return Memory(exists=True)

    @pytest.fixture
    def store(self, memory: Memory) -> Store:
        return MemoryStore(memory)

    @pytest.fixture
    def again(self, memory: Memory) -> Store:
        return MemoryStore(memory)

    @pytest.fixture
    def nowhere(self) -> Store:
        return MemoryStore()

    def die_writing(self, store: Store, names: Names) -> None:
        assert isinstance(store, MemoryStore)
        die_writing(store, names)

    def intrude(self, store: Store, name: str, data: bytes) -> None:
        assert isinstance(store, MemoryStore)
        store.memory.files[name] = (data, datetime.now(UTC))


class TestUnknownWriters(TestMemoryStore):
    @pytest.fixture
    def memory(self) -> Memory:
        return Memory(exists=True, tracks_writers=False)


def die_writing(store: MemoryStore, names: Names) -> None:
    """Begin files whose writers are dead."""
    for name in names:
        upload = store.create(name)
        upload.write(HALF)
        upload.alive = False
