"""Names on the bus."""

import pytest

from cloud.rpc.topology import EXCHANGE, Target, fanout_exchange, fanout_queue, queues_of, reply_queue


@pytest.mark.parametrize(
    ("target", "key", "binary", "shown"),
    [
        (Target("compute"), "compute", "nova-compute", "nova-compute"),
        (Target("compute", "compute-01"), "compute.compute-01", "nova-compute", "nova-compute on compute-01"),
        (Target("api", "a.b.example"), "api.a.b.example", "nova-api", "nova-api on a.b.example"),
        (Target.of("nova-scheduler", "s"), "scheduler.s", "nova-scheduler", "nova-scheduler on s"),
    ],
)
def test_a_target_has_one_routing_key_and_says_who_it_is(target: Target, key: str, binary: str, shown: str) -> None:
    assert (target.routing_key, target.binary, str(target)) == (key, binary, shown)


@pytest.mark.parametrize("binary", ["compute", "nova-", "nova-nothing", "", "nova-nova-api", "Nova-api"])
def test_an_unknown_service_is_refused_with_those_that_there_are(binary: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown service '{binary}': expected one of nova-api, nova-cert, "):
        Target.of(binary)


@pytest.mark.parametrize("role", ["", "nova-api", "nothing"])
def test_an_unknown_role_is_refused(role: str) -> None:
    with pytest.raises(ValueError, match=f"^unknown role '{role}': expected one of api, cert, "):
        Target(role)
    with pytest.raises(ValueError, match=r"^unknown role"):
        fanout_exchange(role)


def test_a_service_has_a_queue_with_its_role_and_one_of_its_own_which_outlive_it() -> None:
    shared, own = queues_of("compute", "compute-01")
    assert [(queue.name, queue.routing_key, queue.exchange.name) for queue in (shared, own)] == [
        ("compute", "compute", "nova"),
        ("compute.compute-01", "compute.compute-01", "nova"),
    ]
    for queue in (shared, own):
        assert (queue.durable, queue.exclusive, queue.auto_delete) == (True, False, False)
        assert (queue.expires, queue.max_length) == (7 * 24 * 3600, 100_000)
        assert queue.queue_arguments == {"x-overflow": "reject-publish"}
    assert (EXCHANGE.type, EXCHANGE.durable) == ("topic", True)


def test_a_fanout_queue_goes_with_its_process_and_a_reply_queue_soon_after() -> None:
    fanout = fanout_queue("compute", "abc")
    assert (fanout.name, fanout.exchange.name, fanout.exchange.type) == (
        "compute_fanout_abc",
        "nova_compute_fanout",
        "fanout",
    )
    assert (fanout.durable, fanout.exclusive, fanout.auto_delete, fanout.max_length) == (False, True, True, 100_000)
    reply = reply_queue("reply_x")
    assert (reply.name, reply.exchange.name, reply.expires, reply.max_length) == ("reply_x", "", 60.0, 100_000)
