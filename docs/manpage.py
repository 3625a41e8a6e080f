"""Write ``docs/monarch.1`` from the help of the commands: ``python -m docs.manpage``.

The page is kept in the repository, and a test compares it with the help. So an install needs no Sphinx, and
the wheel has the page that was reviewed.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click

from monarch.commands import cli
from monarch.errors import EXIT_CODES

PAGE = Path(__file__).with_name("monarch.1")
_FILES = (
    ("migrations/settings.py", "where the databases and the backups are"),
    ("migrations/_YYYYMMDDHHMM_NAME_migration.py", "a migration"),
    ("querysets/NAME_queryset.py", "a query set"),
    (".monarch/", "the data of embedded environments"),
)


def escape(text: str) -> str:
    """``text`` so that roff prints it as it is."""
    safe = text.replace("\\", r"\e").replace("-", r"\-")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in safe.splitlines())


def paragraphs(text: str | None) -> list[str]:
    """The help ``text`` as lines of roff. Examples, which click keeps as they are, keep their lines."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            lines += [".PP", ".nf", escape(paragraph.removeprefix("\b\n")), ".fi"]
        elif paragraph.strip():
            lines += [".PP", escape(" ".join(paragraph.split()))]
    return lines


def placeholder(param: click.Parameter) -> str:
    """What a person puts in the place of ``param``. Not click's own, which differs between its versions."""
    if param.metavar:
        return param.metavar
    if isinstance(param.type, click.Choice):
        return "|".join(map(str, param.type.choices))
    if isinstance(param, click.Argument):
        name = str(param.name).upper()
        return name if param.required else f"[{name}]"
    return param.type.name.upper()


def options(command: click.Command) -> list[str]:
    """The options of ``command`` as a list."""
    lines: list[str] = []
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            names = ", ".join(sorted([*param.opts, *param.secondary_opts], key=len))
            value = "" if param.is_flag else f" {placeholder(param)}"
            default = f" Default: {param.default}." if param.show_default else ""
            lines += [".TP", rf"\fB{escape(names)}\fR{escape(value)}", escape(f"{param.help}{default}")]
    return lines


def render() -> str:
    """The whole page."""
    ctx = click.Context(cli)
    lines = [
        '.\\" Written by docs/manpage.py from the help of the commands.',
        ".TH MONARCH 1",
        ".SH NAME",
        r"monarch \- a toolbelt for MongoDB and PostgreSQL environments, with migrations",
        ".SH SYNOPSIS",
        r"\fBmonarch\fR \fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *paragraphs(cli.help)[1:],
        ".SH COMMANDS",
    ]
    for name in cli.list_commands(ctx):
        command = cli.get_command(ctx, name)
        assert command is not None
        arguments = " ".join(placeholder(p) for p in command.params if isinstance(p, click.Argument))
        usage = escape(f" [OPTIONS] {arguments}".rstrip())
        lines += [
            rf".SS \fBmonarch {escape(name)}\fR{usage}",
            *paragraphs(command.help)[1:],
            *options(command),
        ]
    lines += [
        ".SH OPTIONS",
        "They may stand before the command or after it.",
        *options(cli),
        ".SH EXIT STATUS",
    ]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", str(code), escape(meaning)]
    lines.append(".SH FILES")
    for file, what in _FILES:
        lines += [".TP", rf"\fI{escape(file)}\fR", what]
    lines += [".SH SEE ALSO", r"mongodump(1), mongorestore(1), mongod(1), pg_dump(1)", ""]
    return re.sub(r"[ \t]+\n", "\n", "\n".join(lines))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
