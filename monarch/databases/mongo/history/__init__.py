"""The history of migrations in MongoDB.

Two collections hold it. ``mongo_migration_history`` is that of monarch 0.1: one document for each migration,
with its ``key``, ``state`` and ``processed_at``. ``mongo_migration_journal`` has one document for each
attempt: who made it, from when to when, how it ended, and the traceback. All times are the server's.

The order of writes
-------------------

**The journal is written first, the state after it**, at the beginning of an attempt, at its end, and for a
mark:

=================== ================================================ ===================================
step                1. the journal                                   2. the state
=================== ================================================ ===================================
an attempt begins   a new entry without an outcome (it is *open*)    Processing
it completes        the entry's outcome is Completed                 Completed, or New after a rollback
it fails            the entry's outcome is Failed or Interrupted,    Failed
                    with the error
a person marks it   a new entry that has its outcome                 Completed or New
=================== ================================================ ===================================

So a run that is killed between the two leaves a journal that is one step ahead of the state. In a
transaction both are written by its commit, and there is no moment between them. Every write happens only if
the writer still holds the lease (`fenced_writes`).

What each pair means
--------------------

A pair is the state of a migration and the last attempt at it. Marks and accepted edits are no attempts. A
migration without a document is New. "Shown" is what readers return, "the next writer" is the first attempt
or mark of the next run, or `migrate` with nothing else to do. `reconcile.reconcile` decides each pair, for
both.

=========== ==================== ===================================================== ====================
state       last attempt         meaning                                               the next writer
=========== ==================== ===================================================== ====================
Processing  none                 monarch 0.1 began it; shown as Interrupted            leaves it
Processing  open, its run lives  it runs; shown as Processing                          cannot be there
Processing  open, its run died   it was cut off; shown as Interrupted                  closes the entry as
                                                                                       Interrupted
Processing  Completed, at or     killed after step 1: it completed; shown as           writes the state
            after the state      Completed (a rollback: New)
Processing  Completed, before    monarch 0.1 began it again; shown as Interrupted      leaves it
            the state
Processing  Failed               killed after step 1: it failed; shown as Failed       writes the state
Processing  Interrupted          it was cut off, or interrupted and killed after       leaves it
                                 step 1; shown as Interrupted
Failed      Interrupted          interrupted by a person or a signal; shown as that    leaves it
Completed   open, and the state  a 1.0 before its release, which wrote the state       closes the entry as
or New      is its goal and not  first, was killed between the two: it completed       Completed
            older than its start
any other   open, its run lives  it is about to begin; the state is shown              cannot be there
any other   open, its run died   killed after step 1: it never began; the state is     closes the entry as
                                 shown (Failed: as Interrupted)                        Interrupted
any other   any outcome          both are written; the state is shown                  leaves it
=========== ==================== ===================================================== ====================

A mark that was cut off after step 1 has not changed the state: the state counts, and the mark is repeated.
"""
