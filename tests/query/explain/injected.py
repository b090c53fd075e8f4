"""Errors that steps are made to fail with, and what explain is to call each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cloud.errors import ComputeError, ConflictError
from cloud.logs.query.explain.explanation import Explanation, Verdict
from cloud.rpc.errors import RemoteError, RpcTimeoutError
from tests.conductor.site import Point


@dataclass(frozen=True)
class Injected:
    """`cause` is of the catalogue; None where it is to say that it does not know."""

    error: Exception
    told: str
    cause: str | None


INJECTED: Mapping[str, Injected] = {
    "unheard of": Injected(ConflictError("cannot do it: a reason"), "ConflictError: cannot do it: a reason", None),
    "no answer": Injected(
        RpcTimeoutError("cannot call do_it of compute@compute-02: no reply in 10 s"),
        "RpcTimeoutError: cannot call do_it of compute@compute-02: no reply in 10 s",
        "rpc-timeout",
    ),
    "a defect here": Injected(KeyError("password"), "KeyError: 'password'", "service-defect"),
    "a defect there": Injected(RemoteError("KeyError: 'password'"), "KeyError: 'password'", "service-defect"),
    "disk full": Injected(
        ComputeError("cannot write 'x': [Errno 28] No space left on device"),
        "ComputeError: cannot write 'x': [Errno 28] No space left on device",
        "disk-full",
    ),
    "port refused": Injected(
        ComputeError("unable to connect to server at 'compute-02:49152': Connection refused"),
        "ComputeError: unable to connect to server at 'compute-02:49152': Connection refused",
        "migration-port-refused",
    ),
}
KINDS: Sequence[str] = tuple(INJECTED)


def two_kinds(number: int) -> Sequence[str]:
    """The one that nobody knows, and another for each number."""
    return (KINDS[0], KINDS[1 + number % (len(KINDS) - 1)])


def one_kind(number: int) -> Sequence[str]:
    """Another one for each number."""
    return (KINDS[number % len(KINDS)],)


def failing(name: str, error: Exception) -> Callable[[Point], None]:
    """Let the calls of that name fail."""

    def fail(point: Point) -> None:
        if point[1:] == (name, "before"):
            raise error

    return fail


def assert_named(found: Explanation, step: str, kind: str) -> None:
    """The step, the error as it was injected, and its cause, or that there is none: never another one."""
    right = INJECTED[kind]
    assert found.failure is not None
    assert (found.failure.step, found.failure.error) == (step, right.told)
    assert [cause.id for cause in found.causes] == ([] if right.cause is None else [right.cause])
    assert found.verdict is (Verdict.UNKNOWN if right.cause is None else Verdict.KNOWN)
