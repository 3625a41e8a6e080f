"""``help``: the manual in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from monarch.commands.console.lines import show
from monarch.commands.console.output import print_json
from monarch.commands.console.terminal import columns
from monarch.commands.parsing.arguments import ProjectName, json_option
from monarch.commands.teaching.pager import show_text, uses_styles
from monarch.errors import UsageError

if TYPE_CHECKING:
    from monarch.manual.topics import Manual, Topic

# Longer lines are hard to read.
_WIDEST = 100
_NARROWEST = 20


def _topics() -> list[str]:
    from monarch.manual.topics import Manual

    group = click.get_current_context().find_root().command
    commands = list(group.list_commands(click.Context(group))) if isinstance(group, click.Group) else []
    return [*Manual().names(), *commands]


@click.command("help")
@click.argument("topic", nargs=-1, type=ProjectName("topic", _topics))
@json_option
@click.pass_context
def help(ctx: click.Context, topic: tuple[str, ...], as_json: bool) -> None:
    """Show the manual, or what it says about TOPIC.

    TOPIC is a command, a page, or any words: a section that has them in its heading, or in its text.
    It needs no project and no network.

    \b
    Examples:
      monarch help
      monarch help migrate
      monarch help backups in S3
    """
    from monarch.manual.topics import Manual

    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    command = group.get_command(ctx, topic[0]) if len(topic) == 1 else None
    manual = Manual()
    if as_json:
        print_json(_as_json(manual, topic))
    elif not topic:
        _list_topics(manual)
    elif command is not None:
        _show_command(ctx, command, manual)
    else:
        found = _find(manual, topic, group.list_commands(ctx))
        if len(found) == 1:
            _show_topic(found[0])
        else:
            _show_found(found, topic)


def _find(manual: Manual, words: tuple[str, ...], commands: list[str]) -> list[Topic]:
    from monarch.system.spelling import nearest

    found = manual.find(words)
    if found:
        return found
    near = nearest(" ".join(words), [*commands, *manual.names()])
    raise UsageError(
        f"The manual has nothing about {' '.join(words)!r}.",
        f"Did you mean {near!r}?" if near else "Run `monarch help` to list the topics.",
    )


def _list_topics(manual: Manual) -> None:
    wide = max(len(page.name) for page in manual.pages)
    caption = ""
    for page in manual.pages:
        if page.caption != caption:
            show(*([] if not caption else [""]))
            caption = page.caption
            show(f"{caption}:", bold=True)
        show(f"  {page.name.ljust(wide)}  {page.description}")
    show("")
    show("`monarch help TOPIC` shows one, `monarch help COMMAND` the help of a command.")
    show("`monarch help WORDS` searches all of them, `monarch --help` lists the commands.")


def _show_command(ctx: click.Context, command: click.Command, manual: Manual) -> None:
    name = str(command.name)
    with click.Context(command, info_name=name, parent=ctx.parent) as inner:
        lines = [[(line, "")] for line in command.get_help(inner).splitlines()]
    section = manual.section_about(name)
    if section is not None:
        more = [("  More in the manual: ", ""), (f"monarch help {section.words}", "command")]
        lines += [[], more]
    show_text(lines)


def _show_topic(topic: Topic) -> None:
    from monarch.manual.layout import Frame, lay_out

    frame = Frame(max(min(columns(), _WIDEST), _NARROWEST), uses_styles())
    lines = lay_out(topic.blocks, frame)
    if topic.words != topic.page.name:
        lines += [[], [("All of the page: ", ""), (f"monarch help {topic.page.name}", "command")]]
    show_text(lines)


def _show_found(found: list[Topic], words: tuple[str, ...]) -> None:
    show(f"{len(found)} sections of the manual have {' '.join(words)!r}:", err=not sys.stdout.isatty())
    lines = []
    for one in found:
        lines += [
            [(f"  monarch help {one.words}", "command")],
            [(f"      {one.page.title}: {one.title}", "")],
        ]
    show_text(lines)


def _as_json(manual: Manual, words: tuple[str, ...]) -> list[dict[str, str]]:
    if words:
        found = manual.find(words)
        return [{"topic": one.words, "page": one.page.name, "title": one.title} for one in found]
    return [
        {"topic": page.name, "title": page.title, "caption": page.caption, "description": page.description}
        for page in manual.pages
    ]
