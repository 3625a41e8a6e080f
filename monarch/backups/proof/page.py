"""The page about drills, for people who audit: one HTML file that needs nothing else and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from monarch.amounts import age, duration, size
from monarch.backups.proof.comparison import DrilledCollection, HashVerdict
from monarch.backups.proof.drill import DrillResult
from monarch.backups.proof.style import STYLE
from monarch.databases import find_kind
from monarch.databases.transfer import CollectionSummary

_WORDS = {HashVerdict.SAME: "equal", HashVerdict.DIFFERENT: "differs", HashVerdict.UNKNOWN: "not compared"}
_CLASSES = {HashVerdict.SAME: "good", HashVerdict.DIFFERENT: "bad", HashVerdict.UNKNOWN: "open"}
_CODE = ("SHA-256", "Backup", "Commit", "Encrypted for")
_COUNTED = "<span>counts only</span>"


def render(results: Sequence[DrillResult]) -> str:
    """Return the page about ``results``."""
    passed = sum(one.passed for one in results)
    when = min(one.began_at for one in results)
    verdict = "FAILED" if passed < len(results) else "passed"
    if passed and not all(one.has_hashes for one in results):
        verdict += f" (counts only{', some of them' * any(one.has_hashes for one in results)})"
    title = f"Restore drill of {when:%Y-%m-%d}: {verdict}"
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            # Even what got past the escaping could do nothing.
            '<meta http-equiv="Content-Security-Policy" ',
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            *(_drill(one) for one in results),
            "</main>\n</body>\n</html>\n",
        ]
    )


def why_counted(result: DrillResult) -> str:
    """Return why a drill has counted only: the manifest has no hashes."""
    if result.manifest.recipients:
        return "the backup is encrypted, so its manifest has no hashes of contents"
    return "its manifest has no hashes"


def _drill(result: DrillResult) -> str:
    verdict = ("Passed" if result.has_hashes else f"Passed {_COUNTED}") if result.passed else "Failed"
    mark = "good" if result.passed else "bad"
    manifest = result.manifest
    facts = "".join(_fact(*fact) for fact in _facts(result))
    return "".join(
        [
            f'<article>\n<header class="{mark}">\n<p class="kind">Restore drill</p>\n',
            f"<h1>{escape(manifest.environment)} <span>{escape(result.backup.name)}</span></h1>\n",
            f'<p class="verdict">{verdict}</p>\n<p class="what">{escape(_sentence(result))}</p>\n</header>\n',
            _problems(result),
            f"<section>\n<h2>Facts</h2>\n<dl>{facts}</dl>\n</section>\n",
            _collections(result),
            _method(result),
            "</article>\n",
        ]
    )


def _sentence(result: DrillResult) -> str:
    if not result.passed:
        return "This backup was not restored to what it was when it was taken, or a check refused it."
    kind = find_kind(result.manifest.kind)
    compared = (
        "counts, indexes and contents" if result.has_hashes else f"numbers of {kind.words[1]}s and indexes"
    )
    return (
        f"This backup was restored into an empty {kind.title} server, and its {compared} equal those "
        f"recorded when it was taken.{'' if result.has_hashes else ' Its contents were not compared.'}"
    )


def _problems(result: DrillResult) -> str:
    found = [escape(one) for one in result.problems]
    found += [
        f"<code>{escape(one.name)}</code>: {escape(why)}"
        for one in result.collections
        for why in one.problems
    ]
    if not found:
        return ""
    items = "".join(f"<li>{one}</li>" for one in found)
    return f'<section class="problems">\n<h2>What is wrong</h2>\n<ul>{items}</ul>\n</section>\n'


def _facts(result: DrillResult) -> Iterable[tuple[str, str]]:
    manifest = result.manifest
    yield "Backup", manifest.archive
    yield "Environment", manifest.environment
    yield "Database", f"{manifest.database}{f', {_privacy(result)}' if _privacy(result) else ''}"
    if manifest.query_set is not None:
        yield "Part of it", f"query set {manifest.query_set}"
    yield "Backed up from", manifest.server
    yield "Restored into", f"{result.server}, started for the drill and removed after it"
    yield "Backup taken", _moment(manifest.taken_at)
    yield "Drill began", _moment(result.began_at)
    yield "Drilled by", result.drilled_by
    if result.origin.job or result.origin.link:
        yield "Job", " ".join(filter(None, (result.origin.job, result.origin.link)))
    if result.origin.commit:
        yield "Commit", result.origin.commit
    yield "Age of the data", age(result.age)
    yield "Drill took", f"{duration(result.seconds)}, of which {duration(result.restore_seconds)} to restore"
    yield "As of", "one snapshot" if manifest.one_moment else "the times at which each part was read"
    yield "Archive", f"{size(manifest.size)} ({manifest.size:,} bytes), {manifest.codec}"
    yield "SHA-256", manifest.sha256
    if manifest.recipients:
        yield "Encrypted for", ", ".join(manifest.recipients)
    yield "Check of the project", _check(result)
    yield "Software", f"monarch {result.monarch}; the backup: monarch {manifest.monarch}"


def _privacy(result: DrillResult) -> str:
    manifest = result.manifest
    return "masked" if manifest.masked else "private" if manifest.private else ""


def _check(result: DrillResult) -> str:
    if result.verified is None:
        return "not run"
    return "verify() accepted the restored database" if result.verified else "verify() refused it"


def _fact(label: str, value: str) -> str:
    shown = f"<code>{escape(value)}</code>" if label in _CODE else escape(value)
    return f"<div><dt>{escape(label)}</dt><dd>{shown}</dd></div>\n"


def _collections(result: DrillResult) -> str:
    if not result.collections:
        return ""
    thing, part = find_kind(result.manifest.kind).words
    rows = "".join(_row(one) for one in result.collections)
    return (
        f"<section>\n<h2>{escape(thing.capitalize())}s</h2>\n<table>\n<thead><tr><th>Name</th><th>Kind</th>"
        f'<th class="number">{escape(part.capitalize())}s backed up</th><th class="number">restored</th>'
        '<th class="number">Indexes backed up</th><th class="number">restored</th>'
        f"<th>Hash of contents</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</section>\n"
    )


def _row(one: DrilledCollection) -> str:
    numbers = [
        _number(summary, value) for value in ("documents", "indexes") for summary in (one.expected, one.found)
    ]
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    mark = _CLASSES[one.contents]
    name, kind = escape(one.name), escape(one.kind)
    return (
        f"<tr{' class=wrong' if one.problems else ''}><td><code>{name}</code></td><td>{kind}</td>{cells}"
        f'<td class="{mark}">{_WORDS[one.contents]}</td></tr>\n'
    )


def _number(summary: CollectionSummary | None, value: str) -> str:
    if summary is None or summary.kind == "view":
        return "–"
    unit = " buckets" if summary.kind == "timeseries" and value == "documents" else ""
    return f"{getattr(summary, value):,}{unit}"


def _method(result: DrillResult) -> str:
    sentences = [
        "Every byte of the archive was read and compared with its SHA-256.",
        "It was restored by the code that restores into any environment, into a server that ran on this "
        "machine alone and was removed after the drill with all of its data.",
        "The number of documents or rows, the indexes and a hash of the contents were compared with what was "
        "recorded while the backup was taken. The definition of a view is compared in place of contents."
        if result.has_hashes
        else f"Only numbers were compared: {why_counted(result)}.",
    ]
    if result.has_hashes and result.collections and result.uncompared:
        sentences.append(
            f"Compared by number only: {', '.join(result.uncompared)}. These are collections whose contents "
            "change as they are restored, or whose hash was made in another way."
        )
    text = " ".join(sentences)
    return f"<section>\n<h2>How it was checked</h2>\n<p>{escape(text)}</p>\n</section>\n"


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
