"""The page about drills: all facts, and nothing that a browser would run or fetch."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

from monarch.backups.proof.comparison import compare
from monarch.backups.proof.drill import DrillResult
from monarch.backups.proof.page import render
from monarch.backups.proof.style import STYLE
from monarch.backups.state import Backup, BackupState
from monarch.databases.transfer import CollectionDigest, CollectionSummary, InspectedCollection
from monarch.system.ci import Origin
from tests.backups.test_manifest import MANIFEST

EVIL = "</td><script>alert(1)</script>&\"'"
DOGS = CollectionSummary(EVIL, "collection", 1234567, 99, 2)
DIGEST = CollectionDigest(EVIL, "sha256:1", None, {})
TAKEN = replace(MANIFEST, environment=EVIL, database=EVIL, collections=(DOGS,), digests=(DIGEST,))


def result(restored: CollectionDigest = DIGEST, **more: object) -> DrillResult:
    taken_at = TAKEN.taken_at
    backup = Backup("app", TAKEN.archive, "zst", BackupState.GOOD, 12, taken_at, taken_at)
    began_at = taken_at + timedelta(days=2, hours=3)
    collections = compare(TAKEN, [InspectedCollection(DOGS, restored)])
    made = DrillResult(backup, TAKEN, "MongoDB 6.0.27", began_at, 62.0, 31.0, collections, (), None)
    return replace(made, **more)  # type: ignore[arg-type]


class Checked(HTMLParser):
    """Collects the tags and texts of a page; each tag that needs an end must have one."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_has_what_an_auditor_asks_for() -> None:
    page = Checked(render([result(verified=True)]))
    for fact in (
        *("Passed", TAKEN.archive, TAKEN.sha256, "MongoDB 6.0.5", "MongoDB 6.0.27", "monarch 1.0.0"),
        *("2014-05-29 00:38:00 UTC", "2014-05-31 03:38:00 UTC", "2 d 3 h", "1 min"),
        *("1,234,567", "equal", "verify() accepted", EVIL),
    ):
        assert fact in page.text, fact


def test_a_page_says_who_drilled_and_for_whom_it_is_encrypted() -> None:
    origin = Origin("c0ffee" * 7, "nightly", "ci.example/7?a=1&b=2")
    encrypted = replace(TAKEN, recipients=("age1friend", "ssh-ed25519 AAAA"), digests=())
    drilled = result(drilled_by="olga <o> on backup-1", origin=origin, manifest=encrypted)
    page = Checked(render([drilled]))
    for fact in (
        *("Drilled by", "olga <o> on backup-1", "Job", "nightly ci.example/7?a=1&b=2", "Commit"),
        *(origin.commit or "", "Encrypted for", "age1friend, ssh-ed25519 AAAA"),
        *("Restore drill of 2014-05-31: passed (counts only)", "Passed counts only"),
        *("numbers of documents and indexes equal", "Its contents were not compared", "is encrypted, so"),
    ):
        assert fact in page.text, fact
    assert "passed (counts only, some of them)" in render([result(), drilled])
    for row in ("Job", "Commit", "Encrypted for", "counts only"):
        assert row not in Checked(render([result()])).text


def test_names_cannot_run_anything() -> None:
    text = render([result()])
    page = Checked(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "form"}
    assert not re.search(r"https?:|url\(|@import|\son\w+=", text)
    assert "default-src 'none'" in text


def test_a_page_says_what_is_wrong() -> None:
    failed = result(replace(DIGEST, contents="sha256:2"), problems=("verify() of the settings <failed>.",))
    page = Checked(render([result(), failed]))
    assert not failed.passed
    for text in ("Restore drill of 2014-05-31: FAILED", "Failed", "Passed", "differs", "<failed>"):
        assert text in page.text


def test_a_page_says_what_was_not_compared() -> None:
    assert "its manifest has no hashes" in Checked(render([result(manifest=replace(TAKEN, digests=()))])).text
    counted = Checked(render([result(replace(DIGEST, contents=None))])).text
    assert f"Compared by number only: {EVIL}" in counted


def luminance(color: str) -> float:
    """The relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_can_be_read() -> None:
    """Each colour of text on each background has the contrast of WCAG AA; the page is light everywhere."""
    assert "color-scheme: light;" in STYLE
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", STYLE))
    backs = ["#ffffff", *(color for name, color in colors.items() if name.endswith("-back"))]
    inks = {name: colors[name] for name in ("ink", "soft", "good", "bad", "open")}
    for name, ink in inks.items():
        for back in backs:
            dark, light = sorted((luminance(ink), luminance(back)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, back)
