"""The request that a line belongs to follows the work, and nothing else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.logs.emit import request_context
from cloud.logs.emit.context import RequestContext, current_context


def test_nothing_is_said_outside_of_a_request() -> None:
    assert current_context() == RequestContext()
    assert current_context().as_fields() == {}


def test_inner_context_adds_to_the_outer_and_leaves_with_it() -> None:
    with request_context(request_id="req-1", user="ann"):
        with request_context(instance="i-1", user=None) as inner:
            assert inner == current_context()
            assert inner.as_fields() == {"request_id": "req-1", "instance": "i-1"}
        assert current_context().as_fields() == {"request_id": "req-1", "user": "ann"}
    assert current_context().as_fields() == {}


def test_context_leaves_with_an_exception_too() -> None:
    with pytest.raises(RuntimeError, match="boom"), request_context(request_id="req-1"):
        raise RuntimeError("boom")
    assert current_context() == RequestContext()


def test_fields_come_in_one_order_under_the_names_that_a_line_carries() -> None:
    with request_context(host="h", instance="i", project="p", user="u", request_id="r") as context:
        assert list(context.as_fields().items()) == [
            ("request_id", "r"), ("user", "u"), ("project", "p"), ("instance", "i"), ("host", "h"),
        ]  # fmt: skip


def test_unknown_name_is_refused() -> None:
    with pytest.raises(TypeError, match="tenant"), request_context(tenant="t"):
        pass


def test_new_thread_begins_without_a_request() -> None:
    seen: list[RequestContext] = []
    with request_context(request_id="req-1"):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [RequestContext()]


def test_threads_do_not_see_each_others_requests() -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> str | None:
        with request_context(request_id=f"req-{number}"):
            barrier.wait(10)
            return current_context().request_id

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == ["req-0", "req-1", "req-2", "req-3"]


def test_asyncio_task_takes_the_context_it_was_made_in_and_keeps_its_changes() -> None:
    async def child(number: int) -> dict[str, str]:
        with request_context(instance=f"i-{number}"):
            await asyncio.sleep(0)
            return current_context().as_fields()

    async def parent() -> list[dict[str, str]]:
        with request_context(request_id="req-1"):
            both = await asyncio.gather(child(1), child(2))
            assert current_context().as_fields() == {"request_id": "req-1"}
            return list(both)

    assert asyncio.run(parent()) == [
        {"request_id": "req-1", "instance": "i-1"},
        {"request_id": "req-1", "instance": "i-2"},
    ]


def test_work_in_asyncios_threads_keeps_the_request() -> None:
    async def parent() -> str | None:
        with request_context(request_id="req-1"):
            return await asyncio.to_thread(lambda: current_context().request_id)

    assert asyncio.run(parent()) == "req-1"
