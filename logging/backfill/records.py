"""From a log file's bytes to the lines that rsyslogd wrote, whatever they hold."""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from cloud.logs.backfill.files import LogFile, LogFiles, unpacked
from cloud.logs.collector.lines import Run, identity_of

MAX_RECORD_BYTES = 2 << 20  # the collector keeps 1 MiB of a line, and says so of a longer one
TAIL_BYTES = 1 << 20
_BEGIN = re.compile(rb"<[0-9]{1,3}>1 ")


def records(stream: BinaryIO) -> Iterator[bytes]:
    """Each record without the newline that ends it; what a line does not begin goes on with the record before.

    A last line without its newline is being written, and left out; of a record over 2 MiB the head is given.
    """
    record = bytearray()
    begin = 0  # of the line under way
    is_in_line = False
    while piece := stream.readline(MAX_RECORD_BYTES):
        if not is_in_line:
            if _BEGIN.match(piece) and record:
                yield bytes(record[:-1])
                record.clear()
            begin = len(record)
        is_in_line = not piece.endswith(b"\n")
        room = MAX_RECORD_BYTES - len(record)
        record += piece[:room]
        if not is_in_line and not record.endswith(b"\n"):
            record[-1:] = b"\n"
    if is_in_line:
        del record[begin:]
    if record:
        yield bytes(record[:-1])


def last_numbered(files: LogFiles, file: LogFile) -> Run | None:
    """The run that wrote the last numbered line of a file; None for a file without one."""
    if not file.packing and (run := _last(io.BytesIO(files.tail(file.name, TAIL_BYTES)))):
        return run
    with unpacked(files, file) as stream:
        return _last(stream)


def _last(stream: BinaryIO) -> Run | None:
    last = None
    for record in records(stream):
        if identity := identity_of(record):
            last = identity[0]
    return last
