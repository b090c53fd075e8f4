"""Errors from one process to another."""

import pytest

from cloud.errors import CloudError, DatabaseUnavailableError
from cloud.rpc.errors import NoSuchTargetError, RemoteError, RpcTimeoutError, describe_error, is_expected, rebuild_error


class LocalError(CloudError):
    """Known here; another process may not know it."""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (CloudError("x"), "CloudError", "x"),
        (DatabaseUnavailableError("away"), "DatabaseUnavailableError", "away"),
        (NoSuchTargetError("nobody"), "NoSuchTargetError", "nobody"),
        (LocalError("mine"), "LocalError", "mine"),
        (ValueError("bad"), "ValueError", "bad"),
        (KeyError("key"), "KeyError", "key"),
        (KeyError(), "KeyError", ""),
        (PermissionError(13, "no"), "PermissionError", "[Errno 13] no"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            "RemoteError",
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: bad",
        ),
        (OSError("disk"), "RemoteError", "OSError: disk"),
        (RuntimeError(), "RemoteError", "RuntimeError: "),
        (RemoteError("KeyboardInterrupt: "), "RemoteError", "KeyboardInterrupt: "),
    ],
)
def test_an_error_travels_as_its_name_and_message(error: Exception, kind: str, message: str) -> None:
    assert describe_error(error) == {"type": kind, "message": message}


def test_an_error_is_the_same_after_three_hops() -> None:
    error: Exception = KeyError("it's")
    for _ in range(3):
        error = rebuild_error(**{"kind" if k == "type" else k: v for k, v in describe_error(error).items()})
    assert type(error) is KeyError
    assert str(error) == str(KeyError("it's"))


@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "BaseException", "eval", "os.system", "Exception", "__import__", ""]
)
def test_a_message_does_not_choose_what_is_raised(kind: str) -> None:
    error = rebuild_error(kind, "x")
    assert type(error) is RemoteError
    assert str(error) == f"{kind}: x"


def test_only_errors_with_a_meaning_are_expected() -> None:
    assert is_expected(RpcTimeoutError("late"))
    assert is_expected(LocalError("x"))
    assert not is_expected(ValueError("x"))
    assert not is_expected(KeyError("x"))
