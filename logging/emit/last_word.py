"""What a service says of its own lines before it ends, so that one can look whether they are all in the store."""

import logging
from collections import Counter

from cloud.logs.emit.syslog import SyslogHandler


def lines_so_far() -> dict[str, object]:
    """Fields for a line: how many went to syslog before it, and how many were dropped, by reason.

    They are those of the service that the running thread speaks for; 0 where it does not log to syslog.
    """
    handlers = {*logging.getLogger().handlers, *logging.getLogger("nova").handlers}
    lines, dropped = 0, Counter[str]()
    for handler in handlers:
        if isinstance(handler, SyslogHandler):
            taken, lost = handler.own_lines()
            lines += taken
            dropped.update(lost)
    return {"lines": lines, "lines_dropped": dict(dropped)}
