"""What click's completion does not know about words with a colon in them, taught to bash and zsh.

Imported only when a shell asks. fish needs nothing: it breaks no word at a colon, and puts no space
behind one. Should a later click word its script for zsh differently, that one keeps click's space.
"""

from __future__ import annotations

from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class

# Around click's function: behind a colon the word goes on, so there is no space.
_BASH_GOES_ON = """
%(complete_func)s_goes_on() {
    %(complete_func)s "$@"
    if [[ "${COMPREPLY[*]}" == *: ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s_goes_on %(prog_name)s;
"""

_ZSH_CLICKS = "compadd -U -V unsorted -a completions"
_ZSH_GOES_ON = """\
compadd -U -V unsorted -S '' -- ${(M)completions:#*:}
        compadd -U -V unsorted -- ${completions:#*:}"""


class Bash(BashComplete):
    """bash, which takes a word with a colon apart, unless COMP_WORDBREAKS has been told not to.

    ``production:dev`` then arrives as ``production``, ``:`` and ``dev``, and only the last of these is
    replaced by what is answered.
    """

    source_template = BashComplete.source_template + _BASH_GOES_ON
    # Of the incomplete word, what bash keeps.
    _kept = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        *whole, last = _put_together([*args, incomplete])
        self._kept = last if _is_colon(incomplete) else last.removesuffix(incomplete)
        return whole, last

    def format_completion(self, item: CompletionItem) -> str:
        return super().format_completion(CompletionItem(item.value.removeprefix(self._kept), item.type))


class Zsh(ZshComplete):
    """zsh, which gets every word whole, and has only to be told when a word goes on."""

    source_template = ZshComplete.source_template.replace(_ZSH_CLICKS, _ZSH_GOES_ON)


def _put_together(words: list[str]) -> list[str]:
    """``words`` as they were before bash took them apart at colons. An empty one is a new word."""
    whole: list[str] = []
    goes_on = False
    for word in words:
        if whole and (_is_colon(word) or (goes_on and word)):
            whole[-1] += word
        else:
            whole.append(word)
        goes_on = _is_colon(word)
    return whole


def _is_colon(word: str) -> bool:
    return word != "" and not word.strip(":")


def teach() -> None:
    """Put these in the place of click's."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
