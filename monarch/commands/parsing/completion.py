"""Completion of words with a colon or "=" in bash and zsh, which click's completion does not support.

Imported only when a shell asks. fish needs nothing: it does not break words at a colon, and adds no space
after one. If a later click words its script for zsh differently, zsh keeps click's space.
"""

from __future__ import annotations

from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class

# Around click's function: after a colon or "=" the word continues, so there is no space.
_BASH_CONTINUES = """
%(complete_func)s_continues() {
    %(complete_func)s "$@"
    if [[ "${COMPREPLY[*]}" == *[:=] ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s_continues %(prog_name)s;
"""

_ZSH_CLICKS = "compadd -U -V unsorted -a completions"
_ZSH_CONTINUES = """\
compadd -U -V unsorted -S '' -- ${(M)completions:#*[:=]}
        compadd -U -V unsorted -- ${completions:#*[:=]}"""


class Bash(BashComplete):
    """bash, which splits a word at a colon unless COMP_WORDBREAKS is changed.

    ``production:dev`` then arrives as ``production``, ``:`` and ``dev``, and the answer replaces the last.
    """

    source_template = BashComplete.source_template + _BASH_CONTINUES
    # The beginning of the incomplete word, which bash keeps.
    _kept = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        *whole, last = _join([*args, incomplete])
        self._kept = last if _is_colon(incomplete) else last.removesuffix(incomplete)
        return whole, last

    def format_completion(self, item: CompletionItem) -> str:
        return super().format_completion(CompletionItem(item.value.removeprefix(self._kept), item.type))


class Zsh(ZshComplete):
    """zsh, which does not split words, and only needs to know when a word continues."""

    source_template = ZshComplete.source_template.replace(_ZSH_CLICKS, _ZSH_CONTINUES)


def _join(words: list[str]) -> list[str]:
    """``words`` as they were before bash split them at colons. An empty one is a new word."""
    whole: list[str] = []
    continues = False
    for word in words:
        if whole and (_is_colon(word) or (continues and word)):
            whole[-1] += word
        else:
            whole.append(word)
        continues = _is_colon(word)
    return whole


def _is_colon(word: str) -> bool:
    return word != "" and not word.strip(":")


def register() -> None:
    """Use these classes instead of click's."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
