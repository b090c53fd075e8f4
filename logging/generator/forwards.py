"""The text of a 60-nova.conf -> the actions in it that send lines to another machine."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

_ACTION = re.compile(r"\baction\s*\((?P<parameters>(?:\"(?:[^\"\\]|\\.)*\"|[^\")])*)\)")
_PARAMETER = re.compile(r"([A-Za-z_.]+)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
# The guide's own kind of line: *.error @@172.20.1.43:1024
_LEGACY = re.compile(r"^[^\s:$]\S*\s+@@?(?:\([^)]*\))?(?P<target>\[[^\]]+\]|[^\s:;]+)", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Forward:
    """An action of omrelp or omfwd; its parameters' names in lower case, as rsyslogd does not care."""

    module: Literal["omrelp", "omfwd"]
    parameters: Mapping[str, str]

    @property
    def target(self) -> str:
        return self.parameters.get("target", "").strip("[]")

    @property
    def has_tls(self) -> bool:
        if self.module == "omrelp":
            return self.parameters.get("tls", "off").lower() == "on"
        return self.parameters.get("streamdrivermode", "0") == "1"

    @property
    def queue_type(self) -> str:
        """`direct`, where nothing waits but what sends; `linkedlist`, `fixedarray` or `disk`."""
        return self.parameters.get("queue.type", "direct").lower()


def forwards_in(text: str) -> Iterator[Forward]:
    """Those in new syntax in the order of the text, then those in the guide's."""
    text = _COMMENT_LINE.sub("", text)
    for action in _ACTION.finditer(text):
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(action["parameters"])}
        match parameters.get("type"):
            case "omrelp" | "omfwd" as module:
                yield Forward(module, parameters)
    for legacy in _LEGACY.finditer(text):
        yield Forward("omfwd", {"target": legacy["target"]})
