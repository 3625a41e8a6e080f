"""``leaks``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import count
from monarch.commands.names import own_names
from monarch.commands.parsing.arguments import check_option, json_option, this_project
from monarch.commands.parsing.pairs import ENVIRONMENTS, Pair

if TYPE_CHECKING:
    from monarch.privacy.leaks.check import Leak

_FOUND = 1


@click.command("leaks")
@click.argument("pair", metavar="FROM:TO", type=ENVIRONMENTS)
@check_option
@json_option
def leaks(pair: Pair, check_all: bool, as_json: bool) -> None:
    """Search TO for values of FROM that must be masked.

    Those are the values that migrations/privacy.py masks. They are searched in all other fields, also inside
    of longer texts. Prints fields and numbers of documents, never a value. The exit code is 1 if something
    is found.

    \b
    Examples:
      monarch leaks production:development
      monarch leaks production:development --check all
    """
    with prints_aside(as_json), ProgressBar() as bar:
        found = this_project().leaks(*pair, check_all=check_all, progress=bar)
    if as_json:
        print_json([vars(leak) for leak in found])
    else:
        _show(found, pair, check_all)
    click.get_current_context().exit(_FOUND if found else 0)


def _show(found: tuple[Leak, ...], pair: Pair, check_all: bool) -> None:
    looked = "all documents" if check_all else "a sample of each collection"
    if not found:
        show(f"No value that is masked in {pair.source} was found in {pair.target} ({looked}).")
        return
    cells = [(leak.collection, leak.path, f"{leak.documents:,}") for leak in found]
    print_table(("COLLECTION", "FIELD", "DOCUMENTS"), cells, right=(2,))
    fields = count(len(found), "field")
    show(f"Values that are masked in {pair.source} are in {fields} of {pair.target} ({looked}).")
    file = own_names("migrations/privacy.py")
    show(f"Mask these fields in {file}, or write `public` for what everybody may know.")
