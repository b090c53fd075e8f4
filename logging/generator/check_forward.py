"""A host's forward to the collector -> what of it would be slow, and what can be lost on the way."""

import re
from collections.abc import Iterator

from cloud.logs.generator.finding import Finding
from cloud.logs.generator.forwards import Forward, forwards_in
from cloud.logs.generator.tree import FRAGMENT, HostTree

RSYSLOG_WINDOW = 128
MIN_WINDOW = 1000
"""Below it a host can fall behind: a thousand lines each time the collector answers are 4,000 a second at worst."""
ANSWERS_PER_S = 4
"""How often the collector answers at least: it commits every 250 ms, and at once when all senders wait."""

_MARK = re.compile(r"^\s*(module\s*\(\s*load\s*=\s*\"immark\"|\$ModLoad\s+immark\b)", re.MULTILINE)


def check_forward(tree: HostTree) -> Iterator[Finding]:
    """Warnings for what holds lines back, notes for what loses them; empty for a host without rsyslog."""
    if tree.rsyslog_d is None:
        return
    fragment = tree.rsyslog_d / FRAGMENT
    try:
        text = fragment.read_text(encoding="utf-8")
    except (OSError, ValueError):  # the check by rsyslogd says so
        return
    forwards = list(forwards_in(text))
    for forward in forwards:
        if warning := _slow(forward):
            yield Finding(tree.host, fragment, "warning", warning)
    if any(forward.module == "omrelp" for forward in forwards) and not _MARK.search(text):
        message = "has no immark, and omrelp notices a broken session only when it next sends"
        remedy = 'load it with ruleset="nova", or the last lines before a silence stay unsent as long as it lasts'
        yield Finding(tree.host, fragment, "warning", f"{message}; {remedy}")
    for forward in forwards:
        yield from (Finding(tree.host, fragment, "note", note) for note in _losses(forward))


def _slow(forward: Forward) -> str | None:
    if forward.module != "omrelp":
        return None
    given = forward.parameters.get("windowsize", str(RSYSLOG_WINDOW))
    window = int(given) if given.isdecimal() else 0
    if window >= MIN_WINDOW:
        return None
    rate = f"{window * ANSWERS_PER_S} lines/s while the collector answers every {1000 // ANSWERS_PER_S} ms"
    return f"windowSize {window} lets pass {rate}; set collector.relp_window to {MIN_WINDOW} or more"


def _losses(forward: Forward) -> Iterator[str]:
    if forward.module == "omfwd":
        yield (
            "plain syslog has no acknowledgement: what is under way when the collector ends or the connection"
            " breaks is lost, and only its numbers tell; collector.protocol: relp sends it again"
        )
    match forward.queue_type:
        case "disk":
            return
        case "direct":
            what = "what comes while the collector is away is lost, for the forward has no queue"
        case _:
            what = "kill -9 of rsyslogd and power cuts lose the lines that wait for the collector"
    yield f"{what}; durable_queue: true keeps them, at a few thousand lines/s, and nova.log has them either way"
