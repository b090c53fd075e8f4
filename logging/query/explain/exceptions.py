"""Tracebacks, as Python 2 and 3, nova's remote errors and our own lines have them -> the innermost exception."""

import re
from dataclasses import dataclass

MAX_CHARS = 200_000
"""Of a text that is read; the beginning and the end of a longer one."""

_FINAL = re.compile(
    r"^(?P<name>[A-Za-z_][\w.]*(?:Error|Exception|Timeout|Exit|Interrupt|[a-z]\w*)): ?(?P<text>.*)", re.DOTALL
)
_BREAKS = re.compile(
    r"\n\n?(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n"
)
_TRACEBACK = "Traceback (most recent call last):"
_REMOTE = re.compile(r"Remote error: (?P<name>[A-Za-z_]\w*) (?P<text>[^\n]*)")
_WRAPPERS = (
    re.compile(r"\ABuild of instance \S+ (?:was re-scheduled|aborted): ", re.DOTALL),
    re.compile(r"\AInstance rollback performed due to: ", re.DOTALL),
    re.compile(r"\AResize error: not able to execute ssh command: ", re.DOTALL),
)


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception: the name of its class without its module, and what it says."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name


def innermost(text: str) -> Raised | None:
    """The exception at the bottom of the chain in `text`: the one that was raised first; None without a traceback."""
    if len(text) > MAX_CHARS:
        text = f"{text[: MAX_CHARS // 2]}\n{text[-MAX_CHARS // 2 :]}"
    if _TRACEBACK not in text:
        return None
    first = _BREAKS.split(text[text.index(_TRACEBACK) :])[0]
    found = _last_of(first)
    if found is None:
        return None
    remote = _REMOTE.match(found.text)
    if remote is not None:
        found = Raised(remote["name"], remote["text"])
    inner = found.text
    for wrapper in _WRAPPERS:
        inner = wrapper.sub("", inner)
    return Raised(found.name.removesuffix("_Remote"), inner.strip())


def _last_of(traceback: str) -> Raised | None:
    """What stands behind the frames: its first line names the class, the rest goes on with the text."""
    lines = traceback.split("\n")
    number = 0
    for index, line in enumerate(lines):
        if line.startswith((" ", "\t")) or line == _TRACEBACK or not line.strip():
            if number and line.strip() and line.startswith("  File "):  # frames of a later part
                number = 0
            continue
        if number == 0:
            number = index
    if number == 0:
        return None
    found = _FINAL.match("\n".join(lines[number:]))
    if found is None:
        return Raised(lines[number].strip().rpartition(".")[2], "")
    return Raised(found["name"].rpartition(".")[2], found["text"].strip())
