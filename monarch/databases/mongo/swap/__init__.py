"""Write documents into a database: stage them, compare them, and swap them in.

A copy builds collections ``monarch_staging.RUN.N`` inside the target database, and the swap renames them into
place. Its log is the collection ``monarch_swap``: one document for each step, and the ``head``, which is
written last, and durably. The head, the steps and the staging make the state of the target, and the state
decides what each command does.

States
    | *nothing*: no log and no staging. The target is whole.
    | *staged*: no head; staging, perhaps steps. The target is whole.
    | *swapping*: the head says ``swapping``, and all its steps are in the log.
    | *blocked*: as *swapping*, but the server refuses a step each time.
    | *void*: the head says ``swapping``, but steps are missing: the swap was given up before its first step.
    | *void, emptied*: as *void*, and the head's ``before`` says ``emptied`` or ``stuck``.
    | *emptied*: a copy in place has emptied the target and did not finish.
    | *stuck*: a *blocked* swap was given up; the target is part old, part new.

What each command does
    FROM is ``backup``, and ``copy_db`` from this database. INTO is ``copy_db`` and ``restore`` into it.
    ``migrate`` has something to run. INTO with ``--into-existing`` treats what it finds as ``migrate`` does:
    it does not bring back what is missing.

=============== =============== =============== =============== =============== =============== ========
state           list_migrations migrate         check           FROM            INTO            drop_db
=============== =============== =============== =============== =============== =============== ========
nothing         works           works           works           works           works           drops
staged          works           cleans up       works           works           cleans up       drops
swapping        finishes        finishes        refuses         refuses         finishes        drops
blocked         fails           fails           refuses         refuses         replaces        drops
void            cleans up       cleans up       refuses         refuses         cleans up       drops
void, emptied   undoes          undoes          refuses         refuses         replaces        drops
emptied         undoes          undoes          refuses         refuses         replaces        drops
stuck           undoes          undoes          refuses         refuses         replaces        drops
=============== =============== =============== =============== =============== =============== ========

What the words mean
    | *works*: the command does its work and leaves the state as it is.
    | *cleans up*: it drops the staging and the log, reports that, and does its work.
    | *finishes*: it applies the steps that are left, reports that, and does its work.
    | *replaces*: it drops the staging, reports that, and replaces the contents.
    | *undoes*: it drops the staging, writes ``before`` back into a void head, and refuses.
    | *refuses*: it ends with exit code 1 and changes nothing.
    | *fails*: it tries the step again, ends with exit code 5 and leaves the state as it is.
    | *drops*: it drops the database with everything in it.

Which write moves the state

=============== =============== =============== ==============================================================
write           from            to              how
=============== =============== =============== ==============================================================
begin           staged          swapping        inserts the steps, then writes the head
finish          swapping        nothing         applies the steps, drops the staging, the head, then the log
empty           staged          emptied         writes the head, then drops the contents
abandon         blocked         stuck           writes the head; only INTO does this
give_up         swapping        staged          deletes the steps (void), then drops the log
clear_head      void            staged          drops the log
clear_head      void, emptied   emptied         writes ``before`` back as the state
undo            staged          nothing         drops the staging, then the log
=============== =============== =============== ==============================================================

`begin`, `finish`, `empty`, `abandon`, `give_up`, `clear_head` and `undo` are methods of `log.Swap`.
"""
