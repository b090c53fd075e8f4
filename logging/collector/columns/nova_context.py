"""Plain text of nova: a whole line in its format, or the ids that stand somewhere in a text."""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.bytes import starts_with
from cloud.logs.collector.compiled import Bytes, byte_at, compiled, find_byte

REQUEST_START, PROJECT_START, PROJECT_END, INSTANCE_START, LOGGER_END, USER_START, USER_END, TEXT_START = range(8)
"""What `found` holds; a start of -1 means that there is none."""
UUID_BYTES = 36
REQUEST_BYTES = 4 + UUID_BYTES
_REQUEST = np.frombuffer(b"[req-", np.uint8)
_INSTANCE = np.frombuffer(b"[instance: ", np.uint8)
_SPACE_REQUEST = np.frombuffer(b" [req-", np.uint8)
_REST = np.frombuffer(b" - - -] ", np.uint8)
_CLOSE_SPACE = np.frombuffer(b"] ", np.uint8)
_OPEN, _CLOSE, _SPACE, _MINUS, _POINT = 91, 93, 32, 45, 46
_OF_A_LOGGER, _OF_AN_ID, _HEXADECIMAL = 1, 2, 4
_KINDS = np.zeros(256, np.uint8)
for _byte in range(128):
    _character = chr(_byte)
    if _character.isalnum() or _character in "_.":
        _KINDS[_byte] |= _OF_A_LOGGER | _OF_AN_ID
    if _character in "@:-":
        _KINDS[_byte] |= _OF_AN_ID
    if _character in "0123456789abcdefABCDEF":
        _KINDS[_byte] |= _HEXADECIMAL


@compiled
def read_nova_context(data: Bytes, start: int, end: int, found: npt.NDArray[np.int64]) -> None:
    """Fill `found` with the first request id, the project in the same brackets, and the first instance."""
    found[REQUEST_START] = found[PROJECT_START] = found[INSTANCE_START] = -1
    at = start - 1
    while True:
        at = find_byte(data, at + 1, end, _OPEN)
        if at == end:
            return
        if found[REQUEST_START] == -1 and starts_with(data, at, end, _REQUEST):
            uuid = at + len(_REQUEST)
            after = uuid + UUID_BYTES
            if after < end and _is_uuid(data, uuid) and byte_at(data, after) in (_SPACE, _CLOSE):
                found[REQUEST_START] = uuid - 4
                _read_project(data, after, end, found)
        elif found[INSTANCE_START] == -1 and starts_with(data, at, end, _INSTANCE):
            uuid = at + len(_INSTANCE)
            if uuid + UUID_BYTES < end and _is_uuid(data, uuid) and byte_at(data, uuid + UUID_BYTES) == _CLOSE:
                found[INSTANCE_START] = uuid


@compiled
def read_nova_line(data: Bytes, start: int, end: int, found: npt.NDArray[np.int64]) -> bool:
    """Fill `found` from `LOGGER [REQUEST USER PROJECT - - -] [instance: UUID] MESSAGE`; whether it is that.

    Without an instance in its place the first one in the message is taken, which stays there.
    """
    at = start
    while at < end and _KINDS[byte_at(data, at)] & _OF_A_LOGGER:
        at += 1
    if at == start or 48 <= byte_at(data, start) <= 57 or byte_at(data, start) == _POINT:
        return False
    found[LOGGER_END] = at
    if not starts_with(data, at, end, _SPACE_REQUEST):
        return False
    uuid = at + len(_SPACE_REQUEST)
    at = uuid + UUID_BYTES
    if at >= end or not _is_uuid(data, uuid) or byte_at(data, at) != _SPACE:
        return False
    found[REQUEST_START] = uuid - 4
    found[USER_START] = at + 1
    at = _id_end(data, at + 1, end)
    if at == -1:
        return False
    found[USER_END], found[PROJECT_START] = at, at + 1
    at = _id_end(data, at + 1, end)
    if at == -1 or not starts_with(data, at, end, _REST):
        return False
    found[PROJECT_END] = at
    at += len(_REST)
    found[INSTANCE_START] = -1
    if starts_with(data, at, end, _INSTANCE):
        uuid = at + len(_INSTANCE)
        after = uuid + UUID_BYTES
        if after + 1 < end and _is_uuid(data, uuid) and starts_with(data, after, end, _CLOSE_SPACE):
            found[INSTANCE_START] = uuid
            at = after + len(_CLOSE_SPACE)
    if at == end:
        return False
    found[TEXT_START] = at
    if found[INSTANCE_START] == -1:
        found[INSTANCE_START] = _first_instance(data, at, end)
    return True


@compiled
def _id_end(data: Bytes, start: int, end: int) -> int:
    """Where an id of a user or project meets its space; -1 for none."""
    at = start
    while at < end and _KINDS[byte_at(data, at)] & _OF_AN_ID:
        at += 1
    return at if at > start and at < end and byte_at(data, at) == _SPACE else -1


@compiled
def _first_instance(data: Bytes, start: int, end: int) -> int:
    """Where the UUID of the first `[instance: UUID]` begins; -1 without one."""
    at = find_byte(data, start, end, _OPEN)
    while at < end:
        uuid = at + len(_INSTANCE)
        is_whole = starts_with(data, at, end, _INSTANCE) and uuid + UUID_BYTES < end and _is_uuid(data, uuid)
        if is_whole and byte_at(data, uuid + UUID_BYTES) == _CLOSE:
            return uuid
        at = find_byte(data, at + 1, end, _OPEN)
    return -1


@compiled
def _is_uuid(data: Bytes, start: int) -> bool:
    for k in range(UUID_BYTES):
        character = byte_at(data, start + k)
        if k in (8, 13, 18, 23):
            if character != _MINUS:
                return False
        elif not _KINDS[character] & _HEXADECIMAL:
            return False
    return True


@compiled
def _read_project(data: Bytes, start: int, end: int, found: npt.NDArray[np.int64]) -> None:
    """` user project` behind the request id: words without white space or brackets; `-` is none."""
    at = start
    first = start
    for _ in range(2):
        if at >= end or byte_at(data, at) != _SPACE:
            return
        first = at + 1
        at = first
        while at < end and _is_of_a_word(byte_at(data, at)):
            at += 1
        if at == first:
            return
    is_whole = at < end and byte_at(data, at) in (_SPACE, _CLOSE)
    if is_whole and (at - first > 1 or byte_at(data, first) != _MINUS):
        found[PROJECT_START], found[PROJECT_END] = first, at


@compiled
def _is_of_a_word(character: int) -> bool:
    return 32 < character < 127 and character not in (_OPEN, _CLOSE)
