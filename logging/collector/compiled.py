"""How byte loops become machine code, and the few operations on bytes that they are made of."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numba_intrinsic

Bytes = npt.NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., object])
WORD_BYTES = 8
# numba's types say nothing of what these make, nor of all that they take.
intrinsic: Any = numba_intrinsic
njit: Any = numba.njit
llvm: Any = cgutils


MAX_KEPT_VERSIONS = 3
_COMPLETE = "complete"
_SOURCES = Path(__file__).parent
_IMPORT = b"from cloud.logs.collector.compiled import"
_CONSTANTS = ("compiled.py", "rfc5424.py", "row.py", "grams.py")  # of which machine code holds constants


def _cache_directory() -> Path | None:
    """Where machine code is kept, one directory for each version of our sources; None where nothing can be written.

    numba looks only at the time of the file that a function is in, not at those of the functions that it calls.
    """
    version = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_SOURCES.rglob("*.py")):
        if _IMPORT in (source := path.read_bytes()) or path.name in _CONSTANTS:
            version.update(path.name.encode() + b"\0" + source)
    try:
        base = Path(os.environ.get("NUMBA_CACHE_DIR") or _user_cache() / "cloud" / "machine-code")
        directory = base / version.hexdigest()[:16]
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.touch()
        versions = sorted(base.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
        for old in versions[MAX_KEPT_VERSIONS:]:
            shutil.rmtree(old, ignore_errors=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return None
    return directory if os.access(directory, os.W_OK) else None


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


_CACHE = _cache_directory()
if _CACHE is not None:
    numba.config.CACHE_DIR = str(_CACHE)  # type: ignore[attr-defined]
_OPTIONS = {"cache": _CACHE is not None, "nogil": True, "boundscheck": True, "_nrt": False}


def is_complete() -> bool:
    """Whether nothing is left to compile, or nothing can be kept."""
    return _CACHE is None or (_CACHE / _COMPLETE).exists()


def set_complete() -> None:
    """For whoever has called every kernel."""
    if _CACHE is not None:
        (_CACHE / _COMPLETE).touch()


def compiled(function: F) -> F:
    """`function` as machine code: without Python objects, outside the interpreter's lock, kept for the next start.

    It makes no arrays (`_nrt` False), so that none of those that it is given has its references counted: that cost
    more than the work on them. With NUMBA_DISABLE_JIT=1 it stays Python, which a debugger and a coverage-guided fuzzer
    can look into.
    """
    return cast("F", njit(**_OPTIONS)(function))


def inlined(function: F) -> F:
    """As `compiled`, and made part of whoever calls it: for what is done to each value of a message.

    To hand over three arrays, of seven numbers each, costs more than to write a cell.
    """
    return cast("F", njit(**_OPTIONS, forceinline=True)(function))


# numba's own indexing lets -1 be the last byte, as Python does, and pays for that at every byte. What follows takes
# no negative index, and none beyond the end: what is read here comes from the network.

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def byte_at(data: Bytes, at: int) -> int:
        """The byte at `at`; IndexError beyond either end."""
        if not 0 <= at < len(data):
            raise IndexError("outside of the bytes")
        return int(data[at])

    def word_at(data: Bytes, at: int) -> int:
        """Eight bytes from `at` on as a little-endian number (signed); IndexError beyond either end."""
        if not 0 <= at <= len(data) - WORD_BYTES:
            raise IndexError("outside of the bytes")
        return int.from_bytes(data[at : at + WORD_BYTES].tobytes(), "little", signed=True)

    def put_byte(data: Bytes, at: int, value: int) -> None:
        """Write one byte; IndexError beyond either end."""
        if not 0 <= at < len(data):
            raise IndexError("outside of the bytes")
        data[at] = value

    def copy_bytes(data: Bytes, start: int, end: int, target: Bytes, at: int) -> None:
        """Copy `data[start:end]` to `target`, from `at` on; IndexError beyond any end."""
        if not (0 <= start <= end <= len(data) and 0 <= at <= len(target) - (end - start)):
            raise IndexError("outside of the bytes")
        target[at : at + end - start] = data[start:end]

    def join_halves(low: int, high: int) -> int:
        """A word (signed) of the lower 32 bits of both numbers."""
        joined = (low & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32
        return joined - (1 << 64) if joined >> 63 else joined

    def find_byte(data: Bytes, start: int, end: int, byte: int) -> int:
        """The first place of `byte` in `data[start:end]`; `end` where there is none. IndexError beyond either end."""
        if not 0 <= start <= end <= len(data):
            raise IndexError("outside of the bytes")
        found = data[start:end].tobytes().find(byte)
        return end if found < 0 else start + found

else:

    @intrinsic(prefer_literal=True)
    def _load(_context, data, at, width):  # type: ignore[no-untyped-def]
        """Load `width` (a literal, in bits) bits without a check."""
        bits = width.literal_value

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            array = context.make_array(signature.args[0])(context, builder, args[0])
            address = builder.gep(array.data, [args[1]])
            loaded = builder.load(builder.bitcast(address, ir.IntType(bits).as_pointer()))
            loaded.align = 1
            return loaded if bits == 64 else builder.zext(loaded, ir.IntType(64))

        return types.int64(data, types.int64, width), generate

    @intrinsic
    def _store(_context, data, at, value):  # type: ignore[no-untyped-def]
        """Store the low byte of `value` without a check."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            array = context.make_array(signature.args[0])(context, builder, args[0])
            builder.store(builder.trunc(args[2], ir.IntType(8)), builder.gep(array.data, [args[1]]))
            return context.get_dummy_value()

        return types.void(data, types.int64, types.int64), generate

    @intrinsic
    def _memchr(_context, data, start, length, byte):  # type: ignore[no-untyped-def]
        """C's memchr: how far from `start`, -1 for nowhere."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            array = context.make_array(signature.args[0])(context, builder, args[0])
            pointer, word = ir.IntType(8).as_pointer(), ir.IntType(64)
            kind = ir.FunctionType(pointer, [pointer, ir.IntType(32), word])
            memchr = llvm.get_or_insert_function(builder.module, kind, "memchr")
            first = builder.gep(array.data, [args[1]])
            found = builder.call(memchr, [first, builder.trunc(args[3], ir.IntType(32)), args[2]])
            distance = builder.sub(builder.ptrtoint(found, word), builder.ptrtoint(first, word))
            return builder.select(llvm.is_null(builder, found), ir.Constant(word, -1), distance)

        return types.int64(data, types.int64, types.int64, types.int64), generate

    @intrinsic
    def _memcpy(_context, data, start, length, target, at):  # type: ignore[no-untyped-def]
        """C's memcpy, from place `start` of one array to place `at` of another."""

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            source = context.make_array(signature.args[0])(context, builder, args[0])
            target = context.make_array(signature.args[3])(context, builder, args[3])
            to, first = builder.gep(target.data, [args[4]]), builder.gep(source.data, [args[1]])
            llvm.raw_memcpy(builder, to, first, args[2], 1)
            return context.get_dummy_value()

        return types.void(data, types.int64, types.int64, target, types.int64), generate

    @compiled
    def byte_at(data: Bytes, at: int) -> int:
        """The byte at `at`; IndexError beyond either end."""
        if not 0 <= at < len(data):
            raise IndexError("outside of the bytes")
        return _load(data, at, 8)  # type: ignore[no-any-return]

    @compiled
    def word_at(data: Bytes, at: int) -> int:
        """Eight bytes from `at` on as a little-endian number (signed); IndexError beyond either end."""
        if not 0 <= at <= len(data) - WORD_BYTES:
            raise IndexError("outside of the bytes")
        return _load(data, at, 64)  # type: ignore[no-any-return]

    @compiled
    def put_byte(data: Bytes, at: int, value: int) -> None:
        """Write one byte; IndexError beyond either end."""
        if not 0 <= at < len(data):
            raise IndexError("outside of the bytes")
        _store(data, at, value)

    @compiled
    def copy_bytes(data: Bytes, start: int, end: int, target: Bytes, at: int) -> None:
        """Copy `data[start:end]` to `target`, from `at` on; IndexError beyond any end."""
        if not (0 <= start <= end <= len(data) and 0 <= at <= len(target) - (end - start)):
            raise IndexError("outside of the bytes")
        _memcpy(data, start, end - start, target, at)

    @compiled
    def join_halves(low: int, high: int) -> int:
        """A word (signed) of the lower 32 bits of both numbers."""
        return (low & 0xFFFFFFFF) | (high << 32)

    @compiled
    def find_byte(data: Bytes, start: int, end: int, byte: int) -> int:
        """The first place of `byte` in `data[start:end]`; `end` where there is none. IndexError beyond either end."""
        if not 0 <= start <= end <= len(data):
            raise IndexError("outside of the bytes")
        found = _memchr(data, start, end - start, byte)
        return end if found < 0 else start + found
