"""Everything that a database may hold arrives, by any way, and nothing of what was there before stays."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.support.runs.postgres_pair import PostgresPair
from tests.support.samples.postgres_contents import CONTENTS, REPHRASED

pytestmark = pytest.mark.server

ALL = tuple(chain.from_iterable(CONTENTS.values()))
# What one pg_dump prints of another version's server may differ, and 18 copied into itself is the most exact.
PAIRS = ["15 to 15", "15 to 18", "16 to 18"]


class TestEverything:
    def test_arrives_beside_in_place_and_by_a_backup(self, pair: PostgresPair) -> None:
        pair.source.run(*ALL)
        dumped = pair.source.dump()
        assert pair.copy() == []
        assert pair.target.dump() == dumped
        # What is there already is in nobody's way.
        pair.target.run("CREATE TABLE of_before (id int)")
        assert pair.copy(in_place=True) == []
        assert pair.target.dump() == dumped
        archive = pair.back_up()
        pair.target.run("CREATE TABLE of_before (id int)")
        assert pair.restore(archive) == []
        assert pair.target.dump() == dumped
        pair.target.run("CREATE TABLE of_before (id int)")
        assert pair.restore(archive, in_place=True) == []
        assert pair.target.dump() == dumped
        assert pair.source.dump() == dumped
        assert pair.leftovers() == []
        assert pair.target.rows("SELECT pubname FROM pg_publication") == []

    @pytest.mark.parametrize("versions", PAIRS, indirect=True)
    def test_arrives_in_another_version(self, versions: PostgresPair) -> None:
        versions.source.run(*ALL)
        assert versions.copy() == []
        programs = versions.target.server.programs
        dumps = [end.dump("--data-only", programs=programs) for end in (versions.source, versions.target)]
        assert dumps[0] == dumps[1]

    def test_an_identity_column_that_like_made_is_of_another_type_than_its_sequence(
        self, pair: PostgresPair
    ) -> None:
        pair.source.run(
            "CREATE TABLE one (id int GENERATED ALWAYS AS IDENTITY)",
            "CREATE TABLE two (LIKE one INCLUDING ALL)",
        )
        assert pair.copy() == []
        assert pair.target.value("SELECT format_type(seqtypid, NULL) FROM pg_sequence LIMIT 1") == "integer"

    @pytest.mark.parametrize("versions", ["18 to 18", "15 to 15"], indirect=True)
    def test_what_the_server_prints_in_other_words_is_the_same(self, versions: PostgresPair) -> None:
        versions.source.run(*chain.from_iterable(REPHRASED.values()))
        assert versions.copy() == []
        assert versions.copy(in_place=True) == []
        assert versions.target.rows("TABLE grown_child") == [(1, 3, 2)]
