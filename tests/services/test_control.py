"""ping along a route, and the log level at run time: what each hop is asked, and what is refused."""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from loguru import logger

from cloud.logs.emit.live_level import LiveLevel
from cloud.rpc.client import RpcClient
from cloud.rpc.errors import BadMessageError, NoSuchTargetError, RpcTimeoutError
from cloud.rpc.methods import methods_of
from cloud.rpc.topology import Target
from cloud.services.control import ControlClient, ControlEndpoint

API = Target("api", "controller-01")
COMPUTES = [Target("compute", f"compute-{number:02}") for number in range(1, 67)]


class FakeTimer:
    def start(self) -> None: ...

    def cancel(self) -> None: ...


class FakeClient:
    """Answers each call with `answer`, or raises it, and keeps what was asked."""

    def __init__(self, answer: object = ()) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str, Mapping[str, Any] | None, float | None]] = []

    def call(
        self, target: Target, method: str, arguments: Mapping[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> Any:
        self.calls.append((str(target), method, arguments, timeout_s))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def as_client(fake: FakeClient) -> RpcClient:
    return cast("RpcClient", fake)


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lambda message: lines.append(f"{message.record['message']} {message.record['extra']}"), level=0)
    yield lines
    logger.remove(sink)


@pytest.fixture
def governed() -> Iterator[logging.Logger]:
    governed = logging.getLogger("controlled")
    governed.setLevel(logging.INFO)
    yield governed
    governed.setLevel(logging.NOTSET)


@pytest.fixture
def fake() -> FakeClient:
    return FakeClient()


@pytest.fixture
def endpoint(fake: FakeClient, governed: logging.Logger, said: list[str]) -> ControlEndpoint:
    level = LiveLevel(governed, clock_s=lambda: 100.0, make_timer=lambda _after_s, _call: FakeTimer())
    return ControlEndpoint(API, as_client(fake), level)


def test_it_offers_these_methods_to_the_bus_and_no_other(endpoint: ControlEndpoint) -> None:
    assert sorted(methods_of(endpoint)) == ["get_log_level", "ping", "set_log_level"]


def test_last_hop_answers_for_itself_alone_and_says_so(
    endpoint: ControlEndpoint, fake: FakeClient, said: list[str]
) -> None:
    (answer,) = endpoint.ping([])
    assert answer.pop("elapsed_s") < 1
    assert answer == {"binary": "nova-api", "host": "controller-01", "pid": os.getpid()}
    assert fake.calls == []
    assert said == ["ping received {'hops_left': 0}"]


def test_hop_asks_the_next_with_the_rest_of_the_route_and_puts_itself_first(
    endpoint: ControlEndpoint, fake: FakeClient
) -> None:
    fake.answer = [{"binary": "nova-conductor"}, {"binary": "nova-compute"}]
    answers = endpoint.ping([["nova-conductor", None], ["nova-compute", "compute-01"]])
    assert [answer["binary"] for answer in answers] == ["nova-api", "nova-conductor", "nova-compute"]
    assert fake.calls == [("nova-conductor", "ping", {"route": [["nova-compute", "compute-01"]]}, 5.5)]


def test_each_hop_waits_longer_than_all_after_it(fake: FakeClient) -> None:
    for length in (1, 2, 64):
        ControlClient(as_client(fake)).ping_along(COMPUTES[:length])
    assert [call[3] for call in fake.calls] == [5.0, 5.5, 36.5]


def test_empty_route_asks_nobody(fake: FakeClient) -> None:
    assert ControlClient(as_client(fake)).ping_along([]) == []
    assert fake.calls == []


@pytest.mark.parametrize(
    "failure",
    [
        RpcTimeoutError("cannot call ping of nova-compute on compute-09: no reply in 5 s"),
        NoSuchTargetError("cannot send to compute.compute-09: nobody has ever listened there"),
    ],
)
def test_hop_that_is_down_comes_back_as_the_error_that_names_it(
    endpoint: ControlEndpoint, fake: FakeClient, failure: Exception
) -> None:
    fake.answer = failure
    with pytest.raises(type(failure), match=r"compute-09"):
        endpoint.ping([["nova-compute", "compute-09"]])


@pytest.mark.parametrize(
    ("route", "complaint"),
    [
        (None, "cannot ping: a route is a list of pairs of a binary and a host"),
        ("nova-api", "cannot ping: a route is a list of pairs"),
        ({"nova-api": None}, "cannot ping: a route is a list of pairs"),
        (["nova-api"], "cannot ping: a route is a list of pairs"),
        ([["nova-api"]], "cannot ping: a route is a list of pairs"),
        ([["nova-api", None, None]], "cannot ping: a route is a list of pairs"),
        ([[1, None]], "cannot ping: a binary is a text, and a host a text or null"),
        ([["nova-api", 1]], "cannot ping: a binary is a text, and a host a text or null"),
        ([["nova-api", ["x"]]], "cannot ping: a binary is a text, and a host a text or null"),
        ([["nova-volume", None]], "cannot ping: unknown service 'nova-volume': expected one of nova-api, nova-cert"),
        ([["api", None]], "cannot ping: unknown service 'api'"),
        (
            [["nova-api", "a"], ["nova-cert", None], ["nova-api", "a"]],
            "cannot ping along a route that has nova-api on a twice",
        ),
        ([["nova-compute", None]] * 65, "cannot ping along 65 hops: at most 64"),
    ],
)
def test_route_that_cannot_be_is_refused_before_anybody_is_asked(
    endpoint: ControlEndpoint, fake: FakeClient, route: Any, complaint: str
) -> None:
    with pytest.raises(BadMessageError) as caught:
        endpoint.ping(route)
    assert str(caught.value).startswith(complaint)
    assert fake.calls == []


def test_64_hops_are_not_too_many(endpoint: ControlEndpoint, fake: FakeClient) -> None:
    endpoint.ping([[hop.binary, hop.host] for hop in COMPUTES[:64]])
    ((asked, _, arguments, _),) = fake.calls
    assert (asked, len((arguments or {})["route"])) == ("nova-compute on compute-01", 63)
    with pytest.raises(BadMessageError, match=r"^cannot ping along 65 hops: at most 64$"):
        ControlClient(as_client(fake)).ping_along(COMPUTES[:65])


def test_level_is_set_and_shown(endpoint: ControlEndpoint, governed: logging.Logger) -> None:
    assert endpoint.get_log_level() == {"level": "INFO", "configured": "INFO", "left_s": None}
    assert endpoint.set_log_level("DEBUG", 60.0) == {"level": "DEBUG", "configured": "INFO", "left_s": 60.0}
    assert endpoint.get_log_level() == {"level": "DEBUG", "configured": "INFO", "left_s": 60.0}
    assert governed.level == logging.DEBUG


@pytest.mark.parametrize(
    ("level", "for_s"),
    [
        ("LOUD", 60),
        (None, 60),
        (["DEBUG"], 60),
        ("DEBUG", "60"),
        ("DEBUG", True),
        ("DEBUG", float("nan")),
        ("DEBUG", {}),
    ],
)
def test_level_that_cannot_be_is_the_askers_mistake_not_ours(
    endpoint: ControlEndpoint, governed: logging.Logger, level: Any, for_s: Any
) -> None:
    with pytest.raises(BadMessageError):
        endpoint.set_log_level(level, for_s)
    assert governed.level == logging.INFO


def test_client_asks_under_the_names_of_the_endpoints_methods(fake: FakeClient) -> None:
    client = ControlClient(as_client(fake))
    fake.answer = {"level": "DEBUG"}
    assert client.set_log_level(API, "DEBUG", 60.0) == {"level": "DEBUG"}
    assert client.get_log_level(API) == {"level": "DEBUG"}
    assert fake.calls == [
        ("nova-api on controller-01", "set_log_level", {"level": "DEBUG", "for_s": 60.0}, 5.0),
        ("nova-api on controller-01", "get_log_level", None, 5.0),
    ]
