"""A `@cee:` body in a message's bytes: its members, and the text of those that have no column.

What is read here is JSON that Python would write out again as it stands. Everything else is left to the reference
parser: keys or numbers with a second way of writing them, a key that comes twice, lone surrogates.
"""

import numpy as np
import numpy.typing as npt

from cloud.logs.collector.columns.bytes import hash_of
from cloud.logs.collector.compiled import WORD_BYTES, Bytes, byte_at, compiled, copy_bytes, inlined, put_byte, word_at

KEY_START, KEY_END, VALUE_START, VALUE_END, KIND, COLUMN = range(6)
"""What a row of `members` holds; COLUMN is for whoever has read them."""
STRING, ESCAPED, UNUSUAL, INTEGER, TRUE, NESTED, OTHER = range(7)
"""Kinds of values. ESCAPED is a string whose escapes are those that Python writes, UNUSUAL one with others."""
MAX_MEMBERS = 48
MAX_NESTED_KEYS = 64
MAX_NESTING = 16
NOT_READ = -1
_QUOTE, _BACKSLASH, _COMMA, _COLON = 34, 92, 44, 58
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = 123, 125, 91, 93
_MINUS, _POINT, _ZERO = 45, 46, 48
_SHORT = np.frombuffer(b'"\\bfnrt', np.uint8)
_SHORT_VALUES = np.frombuffer(b'"\\\b\f\n\r\t', np.uint8)
_TRUE, _FALSE, _NULL = (np.frombuffer(word, np.uint8) for word in (b"true", b"false", b"null"))
_IS_PLAIN = np.array([character >= 32 and character not in (_QUOTE, _BACKSLASH) for character in range(256)], np.uint8)
# Of the lower seven bytes of a word; the eighth would be its sign.
_SEVEN, _EACH, _HIGH_BITS = 7, 0x01010101010101, 0x80808080808080
_QUOTES, _BACKSLASHES, _SPACES = _QUOTE * _EACH, _BACKSLASH * _EACH, 32 * _EACH
_MAX_INTEGER_DIGITS = 18
_MAX_FLOAT_DIGITS = 15  # so many survive the way through a double unchanged


@compiled
def read_members(
    data: Bytes,
    start: int,
    end: int,
    members: npt.NDArray[np.int32],
    keys: npt.NDArray[np.int64],
    open_objects: npt.NDArray[np.int64],
) -> int:
    """The number of members of the object that is all of `data[start:end]`, each a row of `members`; or NOT_READ.

    `keys` is room for the hashes of MAX_MEMBERS + MAX_NESTED_KEYS keys and, in a second row, whose keys they are. Two
    keys with one hash are taken for the same key, which only costs time.
    """
    at = skip_space(data, start, end)
    if at >= end or byte_at(data, at) != _OPEN_OBJECT:
        return NOT_READ
    at = skip_space(data, at + 1, end)
    count = 0
    if at < end and byte_at(data, at) == _CLOSE_OBJECT:
        return 0 if skip_space(data, at + 1, end) == end else NOT_READ
    while at < end:
        if count == MAX_MEMBERS or byte_at(data, at) != _QUOTE:
            return NOT_READ
        key_end, kind = string_end(data, at + 1, end)
        if key_end == NOT_READ or kind != STRING:
            return NOT_READ
        members[count, KEY_START], members[count, KEY_END] = at + 1, key_end - 1
        keys[0, count], keys[1, count] = hash_of(data, at + 1, key_end - 1), 0
        for other in range(count):
            if keys[0, other] == keys[0, count]:
                return NOT_READ
        at = skip_space(data, key_end, end)
        if at >= end or byte_at(data, at) != _COLON:
            return NOT_READ
        at = skip_space(data, at + 1, end)
        if at >= end:
            return NOT_READ
        value_end, kind = _value_end(data, at, end, keys, open_objects)
        if value_end == NOT_READ:
            return NOT_READ
        members[count, VALUE_START], members[count, VALUE_END], members[count, KIND] = at, value_end, kind
        count += 1
        at = skip_space(data, value_end, end)
        if at < end and byte_at(data, at) == _CLOSE_OBJECT:
            return count if skip_space(data, at + 1, end) == end else NOT_READ
        if at >= end or byte_at(data, at) != _COMMA:
            return NOT_READ
        at = skip_space(data, at + 1, end)
    return NOT_READ


@compiled
def unescape(data: Bytes, start: int, end: int, target: Bytes, at: int) -> int:
    """Write the text of the string `data[start:end]` (without quotes) to `target` and give its end there.

    NOT_READ for what has no UTF-8: half of a surrogate pair; and for U+0000.
    """
    i = start
    while i < end:
        character = byte_at(data, i)
        if character != _BACKSLASH:
            put_byte(target, at, character)
            at += 1
            i += 1
            continue
        escape = byte_at(data, i + 1)
        i += 2
        if escape != 117:  # u
            put_byte(target, at, _short_value(escape))
            at += 1
            continue
        point = _hex(data, i)
        i += 4
        if 0xD800 <= point < 0xDC00 and i + 6 <= end and byte_at(data, i) == _BACKSLASH and byte_at(data, i + 1) == 117:
            low = _hex(data, i + 2)
            if not 0xDC00 <= low < 0xE000:
                return NOT_READ
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        if point <= 0 or 0xD800 <= point < 0xE000:
            return NOT_READ
        if point < 0x80:
            put_byte(target, at, point)
            at += 1
        elif point < 0x800:
            put_byte(target, at, 0xC0 | (point >> 6))
            put_byte(target, at + 1, 0x80 | (point & 0x3F))
            at += 2
        elif point < 0x10000:
            put_byte(target, at, 0xE0 | (point >> 12))
            put_byte(target, at + 1, 0x80 | ((point >> 6) & 0x3F))
            put_byte(target, at + 2, 0x80 | (point & 0x3F))
            at += 3
        else:
            put_byte(target, at, 0xF0 | (point >> 18))
            put_byte(target, at + 1, 0x80 | ((point >> 12) & 0x3F))
            put_byte(target, at + 2, 0x80 | ((point >> 6) & 0x3F))
            put_byte(target, at + 3, 0x80 | (point & 0x3F))
            at += 4
    return at


@inlined
def write_member(data: Bytes, members: npt.NDArray[np.int32], number: int, target: Bytes, at: int) -> int:
    """Write `"key":value` to `target` without white space outside of strings, and give its end there."""
    key, key_end = int(members[number, KEY_START]) - 1, int(members[number, KEY_END]) + 1
    copy_bytes(data, key, key_end, target, at)
    at += key_end - key
    put_byte(target, at, _COLON)
    at += 1
    i, end = int(members[number, VALUE_START]), int(members[number, VALUE_END])
    if members[number, KIND] != NESTED:
        copy_bytes(data, i, end, target, at)
        return at + end - i
    is_in_string = False
    while i < end:
        character = byte_at(data, i)
        if is_in_string or not _is_space(character):
            put_byte(target, at, character)
            at += 1
        if character == _QUOTE:
            is_in_string = not is_in_string
        elif character == _BACKSLASH:
            i += 1
            put_byte(target, at, byte_at(data, i))
            at += 1
        i += 1
    return at


@inlined
def skip_space(data: Bytes, start: int, end: int) -> int:
    at = start
    while at < end and _is_space(byte_at(data, at)):
        at += 1
    return at


@inlined
def string_end(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Behind the closing quote of the string whose text begins at `start`, and its kind; NOT_READ without one."""
    at = start
    kind = STRING
    while at < end:
        while at + WORD_BYTES <= end and _is_plain_word(word_at(data, at)):
            at += _SEVEN
        while at < end and _IS_PLAIN[byte_at(data, at)]:
            at += 1
        if at == end:
            break
        character = byte_at(data, at)
        if character == _QUOTE:
            return at + 1, kind
        length, is_usual = _escape(data, at, end) if character == _BACKSLASH else (0, False)
        if length == 0:
            return NOT_READ, kind
        kind = max(kind, ESCAPED if is_usual else UNUSUAL)
        at += length
    return NOT_READ, kind


@inlined
def _is_plain_word(word: int) -> bool:
    """Whether none of the lower seven bytes is a quote, a backslash or a control character.

    A byte below N is one whose highest bit is not set, and is set once N is taken from it; what a byte borrows from
    the next one may only make more of these where there is one already.
    """
    quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
    found = (quotes - _EACH) & ~quotes | (backslashes - _EACH) & ~backslashes | (word - _SPACES) & ~word
    return found & _HIGH_BITS == 0


@inlined
def _is_space(character: int) -> bool:
    return character in (32, 10, 13, 9)


@compiled
def _escape(data: Bytes, at: int, end: int) -> tuple[int, bool]:
    """The length of the escape at `at`, 0 for none, and whether Python would write the character like that."""
    if at + 1 >= end:
        return 0, False
    character = byte_at(data, at + 1)
    if character == 117:  # u
        if at + 6 > end:
            return 0, False
        point = _hex(data, at + 2)
        if point < 0:
            return 0, False
        is_lower = not (65 <= byte_at(data, at + 4) <= 70 or 65 <= byte_at(data, at + 5) <= 70)
        return 6, 0 < point < 32 and point not in (8, 9, 10, 12, 13) and is_lower
    if character == 47:  # a slash needs none
        return 2, False
    return (2, True) if _short_value(character) != 0 else (0, False)


@compiled
def _short_value(character: int) -> int:
    """What `\\n` and the like stand for; 0 for what is no escape."""
    if character == 47:
        return 47
    for k in range(len(_SHORT)):
        if int(_SHORT[k]) == character:
            return int(_SHORT_VALUES[k])
    return 0


@compiled
def _hex(data: Bytes, at: int) -> int:
    """The number of four hexadecimal digits; -1 where they are none."""
    number = 0
    for k in range(4):
        character = byte_at(data, at + k)
        if 48 <= character <= 57:
            digit = character - 48
        elif 97 <= character <= 102:
            digit = character - 87
        elif 65 <= character <= 70:
            digit = character - 55
        else:
            return -1
        number = number * 16 + digit
    return number


@inlined
def _value_end(
    data: Bytes, at: int, end: int, keys: npt.NDArray[np.int64], open_objects: npt.NDArray[np.int64]
) -> tuple[int, int]:
    character = byte_at(data, at)
    if character == _QUOTE:
        return string_end(data, at + 1, end)
    if character in (_OPEN_OBJECT, _OPEN_ARRAY):
        return _nested_end(data, at, end, keys, open_objects), NESTED
    return _scalar_end(data, at, end)


@compiled
def _scalar_end(data: Bytes, at: int, end: int) -> tuple[int, int]:
    character = byte_at(data, at)
    if character == _MINUS or 48 <= character <= 57:
        return _number_end(data, at, end)
    if _stands(data, at, end, _TRUE):
        return at + 4, TRUE
    if _stands(data, at, end, _NULL):
        return at + 4, OTHER
    if _stands(data, at, end, _FALSE):
        return at + 5, OTHER
    return NOT_READ, OTHER


@compiled
def _stands(data: Bytes, at: int, end: int, word: Bytes) -> bool:
    if end - at < len(word):
        return False
    for k in range(len(word)):
        if byte_at(data, at + k) != byte_at(word, k):
            return False
    return True


@inlined
def _number_end(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Integers of up to 18 digits, and floats that Python writes in the same way."""
    at = start + 1 if byte_at(data, start) == _MINUS else start
    first = at
    while at < end and 48 <= byte_at(data, at) <= 57:
        at += 1
    digits = at - first
    if digits == 0 or digits > _MAX_INTEGER_DIGITS or (digits > 1 and byte_at(data, first) == _ZERO):
        return NOT_READ, OTHER
    is_zero = byte_at(data, first) == _ZERO
    if at >= end or byte_at(data, at) not in (_POINT, 69, 101):
        return (NOT_READ, OTHER) if is_zero and first > start else (at, INTEGER)
    if byte_at(data, at) != _POINT:
        return NOT_READ, OTHER
    point = at
    at += 1
    zeros = 0
    while at < end and byte_at(data, at) == _ZERO:
        at += 1
        zeros += 1
    while at < end and 48 <= byte_at(data, at) <= 57:
        at += 1
    places = at - point - 1
    if places == 0 or digits + places > _MAX_FLOAT_DIGITS or (at < end and byte_at(data, at) in (69, 101)):
        return NOT_READ, OTHER
    if byte_at(data, at - 1) == _ZERO and places > 1:
        return NOT_READ, OTHER
    if is_zero and zeros > 3:  # below 0.0001 Python writes an exponent
        return NOT_READ, OTHER
    return at, OTHER


@compiled
def _nested_end(
    data: Bytes, start: int, end: int, keys: npt.NDArray[np.int64], open_objects: npt.NDArray[np.int64]
) -> int:
    """Behind the array or object that begins at `start`."""
    depth = 0
    objects = 0
    used = MAX_MEMBERS
    at = start
    wants_value = True
    while at < end:
        character = byte_at(data, at)
        if wants_value and character in (_OPEN_OBJECT, _OPEN_ARRAY):
            if depth == MAX_NESTING:
                return NOT_READ
            depth += 1
            objects += 1
            open_objects[1, depth] = 1 if character == _OPEN_OBJECT else 0
            open_objects[0, depth] = objects
            at = skip_space(data, at + 1, end)
            if at < end and byte_at(data, at) == (_CLOSE_OBJECT if open_objects[1, depth] else _CLOSE_ARRAY):
                wants_value = False
                continue
        elif wants_value:
            if character == _QUOTE:
                at, kind = string_end(data, at + 1, end)
                if kind == UNUSUAL:
                    return NOT_READ
            else:
                at, kind = _scalar_end(data, at, end)
            if at == NOT_READ:
                return NOT_READ
            at = skip_space(data, at, end)
            wants_value = False
            continue
        elif character == (_CLOSE_OBJECT if open_objects[1, depth] else _CLOSE_ARRAY):
            depth -= 1
            if depth == 0:
                return at + 1
            at = skip_space(data, at + 1, end)
            continue
        elif character == _COMMA:
            at = skip_space(data, at + 1, end)
        else:
            return NOT_READ
        # Inside an array or object, where its first or next element begins.
        wants_value = True
        if open_objects[1, depth]:
            if at >= end or byte_at(data, at) != _QUOTE or used == MAX_MEMBERS + MAX_NESTED_KEYS:
                return NOT_READ
            key_end, kind = string_end(data, at + 1, end)
            if key_end == NOT_READ or kind != STRING:
                return NOT_READ
            keys[0, used], keys[1, used] = hash_of(data, at + 1, key_end - 1), open_objects[0, depth]
            for other in range(MAX_MEMBERS, used):
                if keys[0, other] == keys[0, used] and keys[1, other] == open_objects[0, depth]:
                    return NOT_READ
            used += 1
            at = skip_space(data, key_end, end)
            if at >= end or byte_at(data, at) != _COLON:
                return NOT_READ
            at = skip_space(data, at + 1, end)
    return NOT_READ
