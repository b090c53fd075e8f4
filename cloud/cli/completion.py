"""`cloud completion`: what a shell reads to complete the words of `cloud`."""

import os
import shlex
from typing import Any, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

COMPLETE_VARIABLE = "_CLOUD_COMPLETE"
LINE_VARIABLE = "_CLOUD_COMPLETE_LINE"
WORD_VARIABLE = "_CLOUD_COMPLETE_WORD"
SHELLS = ("bash", "zsh", "fish")

_SOURCE = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            open) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_CLOUD_COMPLETE_LINE="${COMP_LINE:0:COMP_POINT}" _CLOUD_COMPLETE_WORD="$2" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class WholeWords(BashComplete):
    """Completes whole words of bash, which itself takes colons and comparisons for their ends."""

    source_template: ClassVar[str] = _SOURCE

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get(LINE_VARIABLE)
        if line is None:
            return super().get_completion_args()
        words, self._incomplete = split(line)
        return words[1:], self._incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        word = os.environ.get(WORD_VARIABLE)
        value = item.value
        if word is not None and self._incomplete.endswith(word):  # what stands before it bash leaves as it is
            value = value[len(self._incomplete) - len(word) :]
        return f"{'open' if item.is_open else item.type},{value}"

    @staticmethod
    def _check_version() -> None:
        """What a bash before 4.4 lacks, it says itself."""


def split(line: str) -> tuple[list[str], str]:
    """The words of a command line as a shell reads them, and the one behind them that is not complete."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # within quotation marks, or right behind a backslash
        return words, lexer.token or ""
    return (words, "") if not words or line[-1].isspace() else (words[:-1], words[-1])


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write what SHELL reads to complete commands, options, and the names and values of log queries.

    \b
    eval "$(cloud completion bash)"        # in ~/.bashrc
    eval "$(cloud completion zsh)"         # in ~/.zshrc, behind compinit
    cloud completion fish > ~/.config/fish/completions/cloud.fish
    """
    root = context.find_root()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click completes nothing for {shell}")
    click.echo(kind(root.command, {}, "cloud", COMPLETE_VARIABLE).source())
