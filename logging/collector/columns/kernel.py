"""A batch's bytes to columns, message by message, in machine code."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns import bsd, cee, header, nova_context, structured_data, timestamp
from cloud.logs.collector.columns.bytes import Words, is_ascii, is_same, starts_with
from cloud.logs.collector.columns.utf8 import is_utf8
from cloud.logs.collector.columns.views import BATCH_BUFFER, UNESCAPED_BUFFER, Cells, set_view
from cloud.logs.collector.compiled import Bytes, byte_at, compiled, copy_bytes, inlined, put_byte
from cloud.logs.collector.row import SKEW_S, Flag

STRINGS = (
    "hostname", "app_name", "procid", "msgid", "structured_data", "message", "logger", "level", "request_id",
    "instance", "project", "event", "migration", "fields", "peer", "host_start",
)  # fmt: skip
"""The string columns in the order of their views; the last two are the same for many rows, and not a kernel's."""
HOSTNAME, APP_NAME, PROCID, MSGID, STRUCTURED_DATA, MESSAGE = range(6)
LOGGER, LEVEL, REQUEST_ID, INSTANCE, PROJECT, EVENT, _, FIELDS, PEER, HOST_START = range(6, 16)
SMALL = 5
FACILITY, SEVERITY, FLAGS, HAS_TIMESTAMP, IS_READ = range(SMALL)
"""The rows of `small`. IS_READ is 0 for a message that the reference parser must read; nothing else holds for it."""
LARGE = 3
TIMESTAMP_US, SEQUENCE, RUN = range(LARGE)
"""The rows of `large`. RUN is which of `runs` has numbered the line, -1 for a line without an identity."""
MAX_RUNS = 256
_MINUS = 45
_IS_TRUNCATED = -2  # beside the columns
_KEYS = {name: number for number, name in enumerate(STRINGS[6:13], start=6)} | {
    "message": MESSAGE, "msg": MESSAGE, "truncated": _IS_TRUNCATED,
}  # fmt: skip
_LONGEST_KEY = max(map(len, _KEYS))
_KEY_COLUMNS = np.array(list(_KEYS.values()), np.int64)
_KEY_TEXTS = np.array([list(name.ljust(_LONGEST_KEY).encode()) for name in _KEYS], np.uint8)
_KEY_BY_SHAPE = np.full((_LONGEST_KEY + 1, 256), -1, np.int8)
"""No two of these keys share both length and first letter; the test of this folder says so when one comes to."""
for _number_of_key, _name in enumerate(_KEYS):
    _KEY_BY_SHAPE[len(_name), ord(_name[0])] = _number_of_key
_BYTE_ORDER_MARK = np.frombuffer(b"\xef\xbb\xbf", np.uint8)
_USER_BEGIN, _USER_END = np.frombuffer(b'{"user":"', np.uint8), np.frombuffer(b'"}', np.uint8)
_COOKIE = np.frombuffer(b"@cee:", np.uint8)
_TRUNCATED, _SKEWED = int(Flag.TRUNCATED), int(Flag.SKEWED)
_SKEW_US = SKEW_S * 1_000_000


class Messages(NamedTuple):
    """What a kernel reads."""

    data: Bytes
    words: Words
    """The same bytes, eight at a time."""
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    observed_us: npt.NDArray[np.int64]


class Output(NamedTuple):
    """What a kernel fills, one place for each message; the strings' views are flat, column after column."""

    cells: Cells
    is_valid: Bytes
    small: Bytes
    large: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int32]
    """Where the identities of the runs stand, as start and end in the received bytes: up to their number."""
    unescaped: Bytes


class Scratch(NamedTuple):
    """Room that a kernel works in."""

    sd: npt.NDArray[np.int64]
    bsd: npt.NDArray[np.int64]
    nova: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]
    keys: npt.NDArray[np.int64]
    open_objects: npt.NDArray[np.int64]


def scratch() -> Scratch:
    return Scratch(
        sd=np.empty(3, np.int64),
        bsd=np.empty(8, np.int64),
        nova=np.empty(8, np.int64),
        members=np.empty((cee.MAX_MEMBERS, 6), np.int32),
        keys=np.empty((2, cee.MAX_MEMBERS + cee.MAX_NESTED_KEYS), np.int64),
        open_objects=np.empty((2, cee.MAX_NESTING + 1), np.int64),
    )


# Below, arrays are passed one by one: a tuple of them costs a call more than what most of these functions do.


@compiled
def read_messages(messages: Messages, output: Output, scratch: Scratch) -> tuple[int, int]:
    """Fill `output`; how many runs there are, and how many bytes of `output.unescaped` are used."""
    data, words, starts, ends, observed_us = messages
    cells, is_valid, small, large, runs, unescaped = output
    sd, bsd_found, nova, members, keys, open_objects = scratch
    run_count = 0
    last_run = 0
    used = 0
    for row in range(len(starts)):
        start, end = int(starts[row]), int(ends[row])
        if not (is_ascii(words, start, end) or is_utf8(data, start, end)):
            continue
        at = header.pri_end(data, start, end)
        if at == -1 or at + 2 > end:
            continue
        pri = header.pri(data, start, at)
        if pri == -1:
            continue
        small[FACILITY, row], small[SEVERITY, row] = pri >> 3, pri & 7
        if byte_at(data, at) == 49 and byte_at(data, at + 1) == 32:  # version 1
            known_start, known_end = runs[last_run, 0], runs[last_run, 1]
            body = _read_5424(data, at + 2, end, row, cells, is_valid, small, large, sd, known_start, known_end)
        else:
            sd[structured_data.IDENTITY] = -1
            body = _read_3164(data, at, end, row, observed_us[row], cells, is_valid, small, large, bsd_found)
        if body == -1:
            continue
        run = -1
        if sd[structured_data.IDENTITY] != -1:
            run = _run_of(data, runs, run_count, last_run, sd)
            if run == -1:
                continue
            run_count = max(run_count, run + 1)
            last_run = run
        if starts_with(data, body, end, _COOKIE):
            after = _read_cee(
                data, body, end, row, cells, is_valid, small, unescaped, used, members, keys, open_objects
            )
            if after == -1:
                continue
            used = after
        else:
            used = _read_plain(data, body, end, row, cells, is_valid, unescaped, used, nova)
        if small[HAS_TIMESTAMP, row] and abs(large[TIMESTAMP_US, row] - observed_us[row]) > _SKEW_US:
            small[FLAGS, row] |= _SKEWED
        large[RUN, row] = run
        small[IS_READ, row] = 1
    return run_count, used


@inlined
def _set(cells: Cells, is_valid: Bytes, column: int, row: int, data: Bytes, buffer: int, start: int, end: int) -> None:
    is_valid[column, row] = 1
    set_view(cells, column * is_valid.shape[1] + row, data, buffer, start, end)


@compiled
def _read_5424(
    data: Bytes,
    start: int,
    end: int,
    row: int,
    cells: Cells,
    is_valid: Bytes,
    small: Bytes,
    large: npt.NDArray[np.int64],
    sd: npt.NDArray[np.int64],
    known_start: int,
    known_end: int,
) -> int:
    """Fill the columns of the header and give the start of the body, -1 where the reference parser must look."""
    at = header.word_end(data, start, end)
    if at == -1:
        return -1
    if at - start > 1 or byte_at(data, start) != _MINUS:
        us = timestamp.rfc3339_us(data, start, at)
        if us == timestamp.NOT_READ:
            return -1
        large[TIMESTAMP_US, row] = us
        small[HAS_TIMESTAMP, row] = 1
    for column in (HOSTNAME, APP_NAME, PROCID, MSGID):
        first = at + 1
        at = header.word_end(data, first, end)
        if at == -1:
            return -1
        if at - first > 1 or byte_at(data, first) != _MINUS:
            _set(cells, is_valid, column, row, data, BATCH_BUFFER, first, at)
    first = at + 1
    if not structured_data.read_structured_data(data, first, end, known_start, known_end, sd):
        return -1
    sd_end = int(sd[structured_data.END])
    text_end = sd_end
    if sd[structured_data.IDENTITY] != -1:
        text_end = int(sd[structured_data.IDENTITY])
        large[SEQUENCE, row] = _number(data, int(sd[structured_data.NUMBER]), sd_end - 2)
    if text_end > first and byte_at(data, first) != _MINUS:
        _set(cells, is_valid, STRUCTURED_DATA, row, data, BATCH_BUFFER, first, text_end)
    body = min(sd_end + 1, end)
    return body + len(_BYTE_ORDER_MARK) if starts_with(data, body, end, _BYTE_ORDER_MARK) else body


@compiled
def _read_3164(
    data: Bytes,
    start: int,
    end: int,
    row: int,
    observed_us: int,
    cells: Cells,
    is_valid: Bytes,
    small: Bytes,
    large: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> int:
    """As `_read_5424`, for the older format."""
    us = bsd.read_bsd_header(data, start, end, observed_us, found)
    if us == timestamp.NOT_READ:
        return -1
    if found[bsd.HAS_TIME]:
        large[TIMESTAMP_US, row] = us
        small[HAS_TIMESTAMP, row] = 1
    for column, place in ((HOSTNAME, bsd.HOST_START), (APP_NAME, bsd.TAG_START), (PROCID, bsd.PID_START)):
        if found[place] != -1:
            _set(cells, is_valid, column, row, data, BATCH_BUFFER, int(found[place]), int(found[place + 1]))
    return int(found[bsd.BODY])


@compiled
def _number(data: Bytes, start: int, end: int) -> int:
    number = 0
    for at in range(start, end):
        number = number * 10 + byte_at(data, at) - 48
    return number


@compiled
def _run_of(data: Bytes, runs: npt.NDArray[np.int32], count: int, guess: int, sd: npt.NDArray[np.int64]) -> int:
    """Which run's identity this is, by the bytes in front of its number; a new one is entered, -1 without room."""
    start = int(sd[structured_data.IDENTITY])
    length = int(sd[structured_data.NUMBER]) - start
    if guess < count and runs[guess, 1] - runs[guess, 0] == length and is_same(data, runs[guess, 0], start, length):
        return guess
    for run in range(count):
        if runs[run, 1] - runs[run, 0] == length and is_same(data, runs[run, 0], start, length):
            return run
    if count == len(runs):
        return -1
    runs[count, 0], runs[count, 1] = start, start + length
    return count


@compiled
def _read_cee(
    data: Bytes,
    start: int,
    end: int,
    row: int,
    cells: Cells,
    is_valid: Bytes,
    small: Bytes,
    unescaped: Bytes,
    used: int,
    members: npt.NDArray[np.int32],
    keys: npt.NDArray[np.int64],
    open_objects: npt.NDArray[np.int64],
) -> int:
    """Fill the columns of the body; the new end of the unescaped bytes, -1 where the reference parser must look."""
    count = cee.read_members(data, start + len(_COOKIE), end, members, keys, open_objects)
    if count == cee.NOT_READ:
        return -1
    has_message = False
    rest = 0
    for number in range(count):
        column = _column_of(data, members, number)
        members[number, cee.COLUMN] = column
        if column == FIELDS:
            if members[number, cee.KIND] == cee.UNUSUAL:
                return -1
            rest += 1
        elif column == _IS_TRUNCATED:
            small[FLAGS, row] |= _TRUNCATED
        else:
            if column == MESSAGE:
                if has_message:
                    return -1  # `message` and `msg`: one of them is left over
                has_message = True
            if column in (LEVEL, LOGGER, EVENT) and members[number, cee.KIND] in (cee.ESCAPED, cee.UNUSUAL):
                return -1  # a text that may not stand in `header`, or else a rare one
            used = _set_text(data, members, number, column, row, cells, is_valid, unescaped, used)
            if used == -1:
                return -1
    if not has_message:
        _set(cells, is_valid, MESSAGE, row, data, BATCH_BUFFER, start, end)
    if rest == 0:
        return used
    at = used
    for number in range(count):
        if members[number, cee.COLUMN] == FIELDS:
            put_byte(unescaped, at, 123 if at == used else 44)  # { or ,
            at = cee.write_member(data, members, number, unescaped, at + 1)
    put_byte(unescaped, at, 125)  # }
    _set(cells, is_valid, FIELDS, row, unescaped, UNESCAPED_BUFFER, used, at + 1)
    return at + 1


@inlined
def _column_of(data: Bytes, members: npt.NDArray[np.int32], number: int) -> int:
    """The column that a member's value goes to; FIELDS for those that have none, or not with such a value."""
    start = int(members[number, cee.KEY_START])
    length = int(members[number, cee.KEY_END]) - start
    if not 0 < length <= _LONGEST_KEY:
        return FIELDS
    key = int(_KEY_BY_SHAPE[length, byte_at(data, start)])
    if key == -1 or not starts_with(data, start, start + length, _KEY_TEXTS[key, :length]):
        return FIELDS
    column, kind = int(_KEY_COLUMNS[key]), int(members[number, cee.KIND])
    if column == _IS_TRUNCATED:
        return column if kind == cee.TRUE else FIELDS
    if kind == cee.STRING and column in (LEVEL, LOGGER, EVENT):
        is_empty = members[number, cee.VALUE_END] - members[number, cee.VALUE_START] == len('""')
        return FIELDS if is_empty else column
    if kind <= cee.UNUSUAL or (kind == cee.INTEGER and column != MESSAGE):
        return column
    return FIELDS


@inlined
def _set_text(
    data: Bytes,
    members: npt.NDArray[np.int32],
    number: int,
    column: int,
    row: int,
    cells: Cells,
    is_valid: Bytes,
    unescaped: Bytes,
    used: int,
) -> int:
    """Let a column be a string's text or an integer's digits; the new end of the unescaped bytes, or -1."""
    start, end = int(members[number, cee.VALUE_START]), int(members[number, cee.VALUE_END])
    kind = members[number, cee.KIND]
    if kind == cee.INTEGER:
        _set(cells, is_valid, column, row, data, BATCH_BUFFER, start, end)
        return used
    if kind == cee.STRING:
        _set(cells, is_valid, column, row, data, BATCH_BUFFER, start + 1, end - 1)
        return used
    after = cee.unescape(data, start + 1, end - 1, unescaped, used)
    if after != -1:
        _set(cells, is_valid, column, row, unescaped, UNESCAPED_BUFFER, used, after)
    return after


@compiled
def _read_plain(
    data: Bytes,
    start: int,
    end: int,
    row: int,
    cells: Cells,
    is_valid: Bytes,
    unescaped: Bytes,
    used: int,
    found: npt.NDArray[np.int64],
) -> int:
    """Fill the columns of a body that is text; the new end of the unescaped bytes."""
    if nova_context.read_nova_line(data, start, end, found):
        _set(cells, is_valid, LOGGER, row, data, BATCH_BUFFER, start, int(found[nova_context.LOGGER_END]))
        first, after = int(found[nova_context.USER_START]), int(found[nova_context.USER_END])
        if after - first > 1 or byte_at(data, first) != _MINUS:
            at = used + len(_USER_BEGIN)
            copy_bytes(_USER_BEGIN, 0, len(_USER_BEGIN), unescaped, used)
            copy_bytes(data, first, after, unescaped, at)
            at += after - first
            copy_bytes(_USER_END, 0, len(_USER_END), unescaped, at)
            at += len(_USER_END)
            _set(cells, is_valid, FIELDS, row, unescaped, UNESCAPED_BUFFER, used, at)
            used = at
        first, after = int(found[nova_context.PROJECT_START]), int(found[nova_context.PROJECT_END])
        if after - first == 1 and byte_at(data, first) == _MINUS:
            found[nova_context.PROJECT_START] = -1
        start = int(found[nova_context.TEXT_START])
    else:
        nova_context.read_nova_context(data, start, end, found)
    _set(cells, is_valid, MESSAGE, row, data, BATCH_BUFFER, start, end)
    first = int(found[nova_context.REQUEST_START])
    if first != -1:
        _set(cells, is_valid, REQUEST_ID, row, data, BATCH_BUFFER, first, first + nova_context.REQUEST_BYTES)
    first = int(found[nova_context.PROJECT_START])
    if first != -1:
        _set(cells, is_valid, PROJECT, row, data, BATCH_BUFFER, first, int(found[nova_context.PROJECT_END]))
    first = int(found[nova_context.INSTANCE_START])
    if first != -1:
        _set(cells, is_valid, INSTANCE, row, data, BATCH_BUFFER, first, first + nova_context.UUID_BYTES)
    return used
