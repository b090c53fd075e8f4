"""A host's files -> which of them send or take log lines that others on the network can read and forge."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cloud.logs.generator.finding import Finding
from cloud.logs.generator.forwards import forwards_in
from cloud.logs.generator.tree import FRAGMENT, HostTree
from cloud.logs.loopback import is_loopback

_LEAVE = re.compile(r"^\s*# allow_plaintext\b", re.MULTILINE)
_DIRECT = re.compile(r"^\s*args\s*=.*\btcp://(?P<target>\[[^\]]+\]|[^\s:/'\"]+)", re.MULTILINE)
_PLAIN_SCHEMES = ("tcp", "relp", "udp")
_RISK = "whoever is on the network between can read these lines and forge others"
_REMEDY = "set collector.tls in the inventory, or collector.allow_plaintext to accept that"


def check_plaintext(tree: HostTree) -> Iterator[Finding]:
    """An error for each file with lines that leave the machine without TLS, unless it says `# allow_plaintext`.

    In collector.toml the leave is its own key; without it the collector would not start.
    """
    if tree.rsyslog_d:
        fragment = tree.rsyslog_d / FRAGMENT
        text = _text_without_leave(fragment)
        targets = dict.fromkeys(forward.target for forward in forwards_in(text) if not forward.has_tls)
        yield from (_sends(tree, fragment, target) for target in targets if not is_loopback(target))
    for logging_conf in tree.logging_confs:
        for match in _DIRECT.finditer(_text_without_leave(logging_conf)):
            if not is_loopback(target := match["target"].strip("[]")):
                # Services speak no TLS: theirs is an rsyslogd of their own.
                remedy = "give the host syslog: rsyslog, or set collector.allow_plaintext to accept that"
                yield _sends(tree, logging_conf, target, remedy)
    for nova_conf in tree.nova_confs:
        yield from _check_collector(tree, nova_conf.with_name("collector.toml"))


def _check_collector(tree: HostTree, path: Path) -> Iterator[Finding]:
    if not path.is_file():
        return
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        urls = [*content.get("listen", ()), *(_url(listener) for listener in content.get("listener", ()))]
        plain = [url for url in urls if _is_plain_beyond_loopback(url)]
    except (OSError, ValueError, TypeError) as exc:  # tomllib's error is a ValueError
        yield Finding(tree.host, path, "error", f"cannot read {path.name}: {exc}")
        return
    if plain and content.get("allow_plaintext") is not True:
        message = f"listens on {', '.join(plain)} without TLS: {_RISK}, so the collector would not start"
        yield Finding(tree.host, path, "error", f"{message}; {_REMEDY}")


def _url(listener: object) -> str:
    url = listener.get("url", "") if isinstance(listener, Mapping) else None
    if not isinstance(url, str):
        raise TypeError("a [[listener]] has a url, which is text")
    return url


def _is_plain_beyond_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in _PLAIN_SCHEMES and not is_loopback(parts.hostname or "")


def _sends(tree: HostTree, path: Path, target: str, remedy: str = _REMEDY) -> Finding:
    return Finding(tree.host, path, "error", f"sends to {target} without TLS: {_RISK}; {remedy}")


def _text_without_leave(path: Path) -> str:
    """Empty where the file gives leave, or cannot be read, which the check by its own program says."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return "" if _LEAVE.search(text) else text
