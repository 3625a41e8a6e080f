"""How many cases the long tests run: all of them, or a reduced sample that a seed chooses.

Kills, races, replicas and corruptions have hundreds of cases that take minutes and rarely break. `tox` runs
a sample of them, `tox -e full` runs all. Such tests draw from their cases by `sample`, and of the tests in
the modules `LONG` only a part runs. `tests/conftest.py` reads the options ``--counts`` and
``--counts-seed`` and calls `configure`; nothing else reads them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar, get_args

# In reduced mode these modules below `tests/` run one test in N. Most of them cause failures, or repeat tests
# with every engine, server and fault. The others take long and test what changes rarely.
LONG = {
    "backups/foreign/test_adoption_kills.py": 4,
    "backups/secrecy/test_rekey.py": 4,
    "backups/retention/test_protection.py": 2,
    "backups/secrecy/test_rekey_beside_others.py": 4,
    "backups/test_corruption.py": 8,
    "backups/test_equal.py": 8,
    "backups/test_hours.py": 3,
    "backups/test_kills.py": 8,
    "backups/test_many.py": 1,
    "backups/test_moments.py": 8,
    "backups/test_restore_kills.py": 8,
    "backups/test_strangers.py": 4,
    "backups/test_zip_v01.py": 3,
    "commands/backups/test_adopt.py": 4,
    "commands/backups/test_adopted.py": 5,
    "commands/backups/test_backups.py": 3,
    "commands/backups/test_buckets.py": 8,
    "commands/backups/test_drill.py": 4,
    "commands/backups/test_encrypted.py": 4,
    "commands/backups/test_foreign.py": 8,
    "commands/backups/test_freshness.py": 2,
    "commands/backups/test_legacy.py": 2,
    "commands/backups/test_prune.py": 3,
    "commands/backups/test_restores.py": 3,
    "commands/backups/test_several.py": 4,
    "commands/backups/test_several_postgres.py": 2,
    "commands/backups/test_which_backup.py": 3,
    "commands/console/test_confirm.py": 2,
    "commands/console/test_lines.py": 3,
    "commands/console/test_questions.py": 4,
    "commands/looks/test_silence.py": 4,
    "commands/loudness/test_levels.py": 2,
    "commands/loudness/test_log_file.py": 3,
    "commands/migrations/test_clusters.py": 5,
    "commands/migrations/test_honest.py": 4,
    "commands/migrations/test_marks.py": 3,
    "commands/migrations/test_migrate.py": 3,
    "commands/migrations/test_migrate_options.py": 3,
    "commands/migrations/test_odd_migrations.py": 6,
    "commands/migrations/test_postgres.py": 6,
    "commands/migrations/test_postgres_kills.py": 3,
    "commands/migrations/test_postgres_libraries.py": 3,
    "commands/migrations/test_postgres_pooler.py": 2,
    "commands/migrations/test_plans.py": 2,
    "commands/migrations/test_project_code.py": 8,
    "commands/migrations/test_rollbacks.py": 3,
    "commands/reports/test_deletion_plans.py": 2,
    "commands/reports/test_target_plans.py": 2,
    "commands/reports/test_transfer_plans.py": 4,
    "commands/test_choices.py": 8,
    "commands/test_clusters.py": 8,
    "commands/test_copies.py": 8,
    "commands/test_demo.py": 2,
    "commands/test_doctor.py": 3,
    "commands/test_doctor_attacked.py": 4,
    "commands/test_masks.py": 3,
    "commands/test_old_servers.py": 8,
    "commands/test_private.py": 4,
    "commands/test_private_data_sets.py": 3,
    "commands/test_private_kills.py": 3,
    "commands/test_private_secrets.py": 4,
    "commands/test_query_sets.py": 8,
    "commands/test_query_sets_postgres.py": 3,
    "commands/test_relative_dates.py": 4,
    "commands/test_servers.py": 8,
    "commands/test_who_did_what.py": 3,
    "copies/test_kills.py": 8,
    "copies/test_late_steps.py": 8,
    "copies/test_leases.py": 8,
    "copies/test_rehearsal.py": 4,
    "copies/test_server_kills.py": 8,
    "copies/test_tool_kills.py": 8,
    "databases/mongo/archive/test_damage.py": 3,
    "databases/mongo/archive/test_format.py": 2,
    "databases/mongo/catalog/test_old_options.py": 3,
    "databases/mongo/embedded/test_server.py": 8,
    "databases/mongo/engines/test_archives.py": 4,
    "databases/mongo/engines/test_cursor_bytes.py": 3,
    "databases/mongo/engines/test_pairs.py": 8,
    "databases/mongo/history/test_reconcile.py": 2,
    "databases/mongo/masking/test_copies.py": 3,
    "databases/mongo/sources/test_file_names.py": 3,
    "databases/mongo/sources/test_folder.py": 8,
    "databases/mongo/sources/foreign/test_archive.py": 4,
    "databases/mongo/subset/test_resolve.py": 3,
    "databases/mongo/swap/test_arrival.py": 3,
    "databases/mongo/swap/test_replace.py": 8,
    "databases/mongo/swap/test_states.py": 8,
    "databases/mongo/test_contract.py": 3,
    "databases/postgres/archive/test_contents.py": 4,
    "databases/postgres/archive/test_encrypted.py": 3,
    "databases/postgres/subset/test_shapes.py": 3,
    "databases/postgres/test_contract.py": 4,
    "databases/postgres/test_embedded.py": 3,
    "databases/postgres/transfers/test_compare.py": 6,
    "databases/postgres/transfers/test_contents.py": 3,
    "databases/postgres/transfers/test_contract.py": 5,
    "databases/postgres/transfers/test_in_place.py": 2,
    "databases/postgres/transfers/test_kills.py": 2,
    "databases/postgres/transfers/test_limits.py": 4,
    "databases/postgres/transfers/test_meanwhile.py": 2,
    "databases/postgres/transfers/test_sessions.py": 6,
    "databases/postgres/transfers/test_traps.py": 4,
    "databases/postgres/transfers/test_users.py": 5,
    "docs/test_blocks.py": 6,
    "migrations/test_kills.py": 8,
    "migrations/test_races.py": 8,
    "migrations/test_replicas.py": 8,
    "privacy/values/test_promises.py": 3,
    "settings/test_real_modules.py": 3,
    "stores/s3/test_faults.py": 8,
    "stores/s3/test_kills.py": 8,
    "stores/s3/test_quick.py": 4,
    "stores/s3/test_rekey_kills.py": 8,
    "stores/s3/test_servers.py": 3,
    "stores/s3/test_store.py": 8,
    "stores/test_faulty.py": 8,
    "stores/test_local.py": 4,
    "stores/test_local_backups.py": 8,
    "support/samples/test_everything.py": 6,
    "support/servers/test_proxy.py": 3,
    "support/servers/test_tools.py": 6,
    "system/test_strangers.py": 3,
}

Case = TypeVar("Case")
Mode = Literal["reduced", "full"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Counts:
    """The mode of a run, and the seed of its samples."""

    mode: Mode
    seed: int

    def describe(self) -> str:
        """Return one line for the header and the end of a run."""
        if self.mode == "full":
            return f"counts: full, seed {self.seed} (the long tests ran every case)"
        repeat = f"--counts-seed={self.seed}"
        return (
            f"counts: reduced, seed {self.seed} ({repeat} repeats this sample, --counts=full runs every case)"
        )


_current = Counts("reduced", 0)


def configure(counts: Counts) -> None:
    """Set the counts of this process, before the test modules are imported."""
    global _current
    _current = counts


def is_reduced() -> bool:
    """Whether this run is one with reduced counts."""
    return _current.mode == "reduced"


def sample(cases: Sequence[Case], reduced: int) -> list[Case]:
    """Return all ``cases`` in full mode, ``reduced`` of them in reduced mode.

    A sample is spread: the cases are divided into ``reduced`` parts of equal length, and one is drawn from
    each. It depends on the seed and the two numbers only, so that every worker of a run draws the same.
    """
    if _current.mode == "full" or len(cases) <= reduced:
        return list(cases)
    chance = random.Random(f"{_current.seed} {len(cases)} {reduced}")
    ends = [len(cases) * part // reduced for part in range(reduced + 1)]
    return [cases[chance.randrange(start, end)] for start, end in pairwise(ends)]


def sample_of_long(tests: Sequence[Case], one_in: int) -> list[Case]:
    """Return the ``tests`` of a module that run: one in ``one_in``, at least one."""
    return sample(tests, max(1, len(tests) // one_in))


def number(*, reduced: int, full: int) -> int:
    """Return the number for the current mode, for loops without a list of cases."""
    return full if _current.mode == "full" else reduced
