"""The samples of the long tests: spread, repeatable, and complete in full mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import counts
from tests.support.counts import LONG, Counts, number, sample, sample_of_long


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = counts._current
    yield
    counts.configure(before)


def test_full_mode_runs_every_case() -> None:
    counts.configure(Counts("full", 1))
    assert sample(range(50), reduced=5) == list(range(50))
    assert number(reduced=2, full=9) == 9


def test_a_sample_has_one_case_from_each_part() -> None:
    for seed in range(50):
        counts.configure(Counts("reduced", seed))
        chosen = sample(range(120), reduced=10)
        assert [case // 12 for case in chosen] == list(range(10))
    assert number(reduced=2, full=9) == 2


def test_the_seed_repeats_a_sample_and_another_seed_draws_another() -> None:
    drawn = []
    for seed in (1, 2, 1):
        counts.configure(Counts("reduced", seed))
        drawn.append(sample(range(1000), reduced=10))
    assert drawn[0] == drawn[2] != drawn[1]


def test_over_many_seeds_every_case_is_drawn() -> None:
    seen: set[int] = set()
    for seed in range(300):
        counts.configure(Counts("reduced", seed))
        seen.update(sample(range(60), reduced=6))
    assert seen == set(range(60))


def test_few_cases_all_run() -> None:
    counts.configure(Counts("reduced", 1))
    assert sample("abc", reduced=3) == ["a", "b", "c"]
    assert sample([], reduced=3) == []


def test_a_long_module_runs_some_of_its_tests() -> None:
    counts.configure(Counts("reduced", 1))
    assert [len(sample_of_long(range(length), 8)) for length in (1, 2, 16, 40)] == [1, 1, 2, 5]
    counts.configure(Counts("full", 1))
    assert len(sample_of_long(range(40), 8)) == 40


def test_the_long_modules_exist() -> None:
    assert [name for name in LONG if not (Path(__file__).parents[1] / name).is_file()] == []


def test_the_line_at_the_end_names_the_mode_and_the_seed() -> None:
    assert Counts("reduced", 7).describe().startswith("counts: reduced, seed 7 ")
    assert Counts("full", 7).describe().startswith("counts: full, seed 7 ")
