"""The names of backups and their files.

A backup is called ``STEM__YYYY_MM_DD``, the second of a day ``STEM__YYYY_MM_DD_2``, as in monarch 0.1. The
stem is the name of the database unless the user chooses another; of an environment with several databases it
is ``NAME__DATABASE``, where NAME is the environment unless the user chooses another. Unless the user chooses
the name, that of a part has its query set in it: ``DATABASE__QUERYSET``. The archive adds
``.dmp.zst`` or ``.dmp.gz`` (in monarch 0.1 ``.dmp.zip``), and ``.age`` if it is encrypted; the manifest adds
``.json`` to that.

The archive that `rekey_backup` writes for the second time ends in ``.2.age``: a file is never replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count

from monarch.databases.environment import Environment
from monarch.errors import UsageError
from monarch.system.spelling import one_edit_away

MANIFEST = ".json"
# What ends the names of other files beside an archive: its protection, which may have a number behind it, and
# the marks of its readers, which do.
PROTECTED = ".protected"
READING = ".reading."
# What the journal of the database cannot hold about a backup; see `monarch.backups.operations.lines`.
JOURNAL = ".journal"
LEGACY = "zip"
_ARCHIVE = re.compile(
    rf"(.+)\.dmp\.(?:(zst|gz)(?:\.([2-9]|[1-9]\d{{1,5}}))?(\.age)|(zst|gz|{LEGACY}))", re.DOTALL
)
# What ends the mark of a reader, and a second protection.
_NUMBER = re.compile(r"[0-9a-f]{16}")
# File names may have 255 bytes, with everything that follows the stem.
_LONGEST = 200
_FORBIDDEN = '/\\"<>|*?'


def archive_name(backup: str, codec: str, generation: int = 0) -> str:
    """Return the file name of the archive of a backup; ``generation`` is as in `generation_of`."""
    number = f".{generation}" if generation > 1 else ""
    return f"{backup}.dmp.{codec}{number}{'.age' if generation else ''}"


def split_archive_name(file: str) -> tuple[str, str] | None:
    """Return the backup and the codec if ``file`` has the name of an archive."""
    found = _ARCHIVE.fullmatch(file)
    return (found[1], found[2] or found[5]) if found else None


def generation_of(file: str) -> int:
    """Return how many times the archive of the name ``file`` was encrypted: 0 if it is not."""
    found = _ARCHIVE.fullmatch(file)
    return int(found[3] or 1) if found and found[4] else 0


def split_note_name(file: str) -> tuple[str, str] | None:
    """Return the archive and `PROTECTED` or `READING` if ``file`` is such a file beside an archive.

    The files of another backup are none, whatever its name holds.
    """
    for ending, separator in ((PROTECTED, f"{PROTECTED}."), (READING, READING)):
        archive, _, number = file.rpartition(separator)
        if ending == PROTECTED and file.endswith(PROTECTED):
            archive = file.removesuffix(PROTECTED)
        elif not _NUMBER.fullmatch(number):
            continue
        if split_archive_name(archive):
            return archive, ending
    return None


def names_of_day(stem: str, day: datetime) -> Iterator[str]:
    """Yield the names that a backup of that day may have. The first free one is used."""
    first = f"{stem}__{day:%Y_%m_%d}"
    yield first
    for number in count(2):
        yield f"{first}_{number}"


def no_such_backup(
    name: str, place: str, known: Iterable[str], environments: Sequence[str] = ()
) -> UsageError:
    """Return the error about ``name``, which none of the ``known`` backups in ``place`` has.

    :param environments: those that are valid instead.
    """
    near = one_edit_away(name, [*environments, *known])
    hint = f"Did you mean {near!r}?" if near else "Run `monarch list_backups` to see all of them."
    if near is None and environments:
        hint = (
            f"The environments are {', '.join(environments)}. Run `monarch list_backups` to see the backups."
        )
    neither = ", and no environment of that name" if environments else ""
    return UsageError(f"There is no backup {name!r} in {place}{neither}.", hint)


def stem_of(environment: Environment, name: str | None, query_set: str | None = None) -> str:
    """Return what the names of backups of ``environment`` begin with, for which the user chose ``name``.

    :param query_set: the one that selects a part of the database.
    :raises UsageError: if no store accepts it.
    """
    stem = _stem(environment, name)
    if query_set is None or name is not None or not query_set.isidentifier():  # there is no such query set
        return stem
    # Its end is left out where there is no room for it: it only tells people what the backup is.
    room = _LONGEST - len(f"{stem}__".encode())
    part = query_set.encode()[: max(room, 0)].decode(errors="ignore")
    return f"{stem}__{part}" if part else stem


def _stem(environment: Environment, name: str | None) -> str:
    if not environment.is_member:
        stem = environment.db_name if name is None else name
        check_stem(stem)
        return stem
    beginning = environment.name if name is None else name
    check_stem(beginning)
    stem = f"{beginning}__{_escape(environment.db_name)}"
    check_stem(stem, "Use a shorter --name.")
    return stem


def _escape(database: str) -> str:
    """Return ``database`` with ``%2F`` and the like for what no name may have. No two become equal."""
    text = "".join(_escaped(c) if _must_escape(c, at, database) else c for at, c in enumerate(database))
    return re.sub(r"\.(?=dmp\.)", "%2E", text)


def _must_escape(character: str, at: int, text: str) -> bool:
    if character.isspace():  # at the end it would be lost
        return at == len(text) - 1 or not character.isprintable()
    return character in f"%{_FORBIDDEN}" or not character.isprintable()


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def check_stem(stem: str, hint: str = "Use --name OTHER.") -> None:
    """Check that any store accepts a backup whose name begins with ``stem``.

    :raises UsageError: if not, saying why.
    """
    wrong = None
    if not stem.strip():
        wrong = "is empty"
    elif stem != stem.strip():
        wrong = "begins or ends with a space"
    elif stem[0] in ".-":
        wrong = f"begins with {stem[0]!r}"
    elif found := next((c for c in stem if c in _FORBIDDEN or not c.isprintable()), None):
        wrong = f"has {found!r} in it"
    elif ".dmp." in stem:  # it would look like a file beside the archive of another backup
        wrong = "has '.dmp.' in it"
    elif len(stem.encode(errors="replace")) > _LONGEST:
        wrong = f"is longer than {_LONGEST} bytes"
    if wrong:
        raise UsageError(f"No backup can be called {stem[:60]!r}: the name {wrong}.", hint)
