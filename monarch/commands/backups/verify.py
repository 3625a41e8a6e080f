"""``verify_backup``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, summary
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.text import count, duration, printable
from monarch.commands.parsing.arguments import RESTORABLE, json_option, this_project
from monarch.errors import DamagedError, MonarchError, StoreError, UsageError

if TYPE_CHECKING:
    from monarch.backups.verification import VerifiedBackup


@click.command("verify_backup")
@click.argument("names", metavar="[NAME]...", nargs=-1, type=RESTORABLE)
@click.option("--all", "all_of_them", is_flag=True, help="Verify every backup.")
@click.option("--deep", is_flag=True, help="Decrypt encrypted backups, and check their contents too.")
@json_option
def verify_backup(names: tuple[str, ...], all_of_them: bool, deep: bool, as_json: bool) -> None:
    """Read backups to their end, and check every byte.

    If NAME is an environment, all its backups are read. Compares the SHA-256 of the archive, every document's
    frame, every collection's checksum, and the numbers in the manifest; of an archive that monarch did not
    make, what is there of these; of an encrypted one only the SHA-256, which needs no key (but see --deep).
    Touches no database.

    \b
    Examples:
      monarch verify_backup app__2026_11_28
      monarch verify_backup production --deep
      monarch verify_backup --all --json
    """
    if bool(names) == all_of_them:
        wrong = "Both names and --all are given." if names else "No backup is named."
        raise UsageError(wrong, "Name the backups, or use --all for all of them.")
    project = this_project()
    with ProgressBar() as bar:
        report = partial(_show, bar, as_json)
        verified = project.verify_backups(*names, deep=deep, progress=bar, report=report)
    if as_json:
        print_json([_as_json(one) for one in verified])
    _require_good(verified, named=bool(names))
    if not verified:
        place = project.backups.store.place
        raise MonarchError(f"There are no backups in {place}.", "Check BACKUPS in migrations/settings.py.")
    if not as_json and len(verified) > len(names):  # also with --all, and for an environment
        show(_total(verified))


def _show(bar: ProgressBar, as_json: bool, verified: VerifiedBackup) -> None:
    if as_json:
        return
    bar.clear()
    name, why = printable(verified.backup.name), printable(verified.why or "")
    if verified.good:
        contents = f"{summary(verified.collections)}, read in {duration(verified.seconds)}"
        remark = f". It was {why}, so nothing tells whether it is complete" if why else ""
        if not verified.contents_checked:
            remark = "; encrypted, so only its SHA-256 was checked (to decrypt it: --deep)"
        show((verified.finding.value, "green"), f" {name}: {contents}{remark}")
        return
    broken = verified.finding is verified.finding.BROKEN
    show(("BROKEN", "red") if broken else (verified.finding.value, "yellow"), f" {name}: {why}")
    if verified.hint:
        show(f"  {printable(verified.hint)}")


def _as_json(verified: VerifiedBackup) -> dict[str, Any]:
    backup = verified.backup
    return {
        "name": backup.name,
        "archive": backup.archive,
        "good": verified.good,
        "why": verified.why,
        "contents_checked": verified.contents_checked,
    }


def _total(verified: tuple[VerifiedBackup, ...]) -> str:
    """Count the findings, when none of them is an error."""
    findings = [one.finding.value for one in verified]
    if set(findings) == {"good"}:
        return f"{count(len(verified), 'backup')}, all of them good."
    parts = [f"{findings.count(finding)} {finding}" for finding in dict.fromkeys(findings)]
    return f"{count(len(verified), 'backup')}: {', '.join(parts)}."


def _require_good(verified: tuple[VerifiedBackup, ...], *, named: bool) -> None:
    """Check that all backups are good.

    :param named: whether they were named, so that it is an error if one is unchecked.
    :raises DamagedError: if one cannot be restored.
    :raises StoreError: if one could not be read.
    :raises UsageError: if there is no key for one that was to be decrypted.
    :raises MonarchError: if monarch does not read the format of a named one.
    """
    good, broken, unread, closed, unchecked = (
        [printable(one.backup.name) for one in verified if one.finding.value in findings]
        for findings in (("good",), ("broken", "incomplete"), ("unread",), ("no key",), ("unchecked",))
    )
    of = count(len(verified), "backup")
    if broken:
        hint = f"The newest good one of these is {good[-1]!r}." if good else "None of these is good."
        raise DamagedError(f"{len(broken)} of {of} cannot be restored: {', '.join(broken)}.", hint)
    if unread:
        why = next(printable(one.why or "") for one in verified if one.finding.value == "unread")
        raise StoreError(
            f"{len(unread)} of {of} could not be read: {', '.join(unread)}. {why}",
            "This does not mean that they are damaged. Fix the cause and run it again.",
        )
    if closed:
        first = next(one for one in verified if one.finding.value == "no key")
        why = printable(first.why or "")
        raise UsageError(
            f"{len(closed)} of {of} could not be decrypted: {', '.join(closed)}. {why}", first.hint
        )
    if unchecked and named:
        hint = next(one.hint for one in verified if one.hint)
        raise MonarchError(f"{len(unchecked)} of {of} could not be checked: {', '.join(unchecked)}.", hint)
