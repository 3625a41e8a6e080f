from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.billing import Billing, make_billing
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def billing(tmp_path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    with make_billing(tmp_path, postgres) as made:
        yield made
