import threading
from functools import partial

from cloud.logs.collector.batch import MAX_MESSAGES, Batch, Source
from cloud.logs.collector.inbox import Inbox
from tests.waiting import wait_until

PEER = Source("192.0.2.7")


def fill(inbox: Inbox, *payloads: bytes, observed_us: int = 7) -> bool:
    """Add messages as a receiver does; whether there was room for all of them."""
    with inbox.lock:
        for payload in payloads:
            batch = inbox.current(len(payload))
            if batch is None:
                return False
            batch.add_payload(payload, PEER, observed_us)
        inbox.filled()
    return True


def payloads(batch: Batch | None) -> list[bytes]:
    return [] if batch is None else [batch.payload(number) for number in range(batch.count)]


def test_messages_come_out_in_order_the_full_batches_first() -> None:
    inbox = Inbox(3, 100)
    assert fill(inbox, b"a" * 60, b"b" * 60, b"c" * 30)
    assert payloads(inbox.take(0)) == [b"a" * 60]
    assert payloads(inbox.take(0)) == [b"b" * 60, b"c" * 30]
    assert inbox.take(0) is None


def test_a_batch_is_full_when_it_has_as_many_messages_as_a_row_group() -> None:
    inbox = Inbox(2, 1 << 20)
    assert fill(inbox, *[b"x"] * (MAX_MESSAGES + 1))
    assert len(payloads(inbox.take(0))) == 122_880
    assert payloads(inbox.take(0)) == [b"x"]


def test_nothing_to_take_is_none_after_the_timeout() -> None:
    inbox = Inbox(1, 100)
    with inbox.lock:
        inbox.current(10)
    assert inbox.take(0.001) is None


def test_without_a_free_batch_there_is_no_room_until_one_comes_back() -> None:
    inbox, told = Inbox(2, 100), threading.Event()
    inbox.on_room(told.set)
    assert fill(inbox, b"a" * 100, b"b" * 100)
    assert not fill(inbox, b"c" * 100)
    batch = inbox.take(0)
    assert batch is not None
    assert not fill(inbox, b"c" * 100)
    assert not told.is_set()
    inbox.give_back(batch)
    assert told.is_set()
    assert fill(inbox, b"c" * 100)
    assert payloads(inbox.take(0)) == [b"b" * 100]


def test_what_is_taken_counts_until_it_is_given_back() -> None:
    inbox = Inbox(2, 100)
    assert (inbox.size_bytes, inbox.oldest_us) == (0, None)
    fill(inbox, b"a" * 70, observed_us=5)
    fill(inbox, b"b" * 40, observed_us=6)
    first = inbox.take(0)
    assert first is not None
    assert (inbox.size_bytes, inbox.oldest_us) == (110, 5)
    inbox.give_back(first)
    assert (inbox.size_bytes, inbox.oldest_us) == (40, 6)


def test_a_batch_that_comes_back_is_empty() -> None:
    inbox = Inbox(1, 100)
    fill(inbox, b"a")
    batch = inbox.take(0)
    assert batch is not None
    batch.on_commit.append(lambda: None)
    batch.truncated.append(0)
    inbox.give_back(batch)
    assert (batch.used, batch.count, batch.segments, batch.truncated, batch.on_commit) == (0, 0, [], [], [])


def test_waiting_for_company_ends_when_a_batch_is_full_even_if_nothing_was_added_then() -> None:
    inbox = Inbox(1, 100)
    fill(inbox, b"a" * 60)
    waited: list[bool] = []
    waiting = threading.Thread(target=lambda: waited.append(inbox.wait_for_company(30)), daemon=True)
    waiting.start()
    with inbox.lock:
        assert inbox.current(60) is None  # the pool is used up: no message can follow that would tell
    waiting.join(10)
    assert waited == [True]


def test_nobody_waits_for_company_when_senders_are_in_a_hurry() -> None:
    inbox = Inbox(1, 100)
    fill(inbox, b"a")
    with inbox.lock:
        inbox.hurry()
    assert inbox.wait_for_company(30) is False
    assert inbox.take_hurry() is True
    assert inbox.take_hurry() is False
    assert inbox.wait_for_company(0.001) is False


def test_closing_frees_who_takes_and_who_waits_and_loses_nothing() -> None:
    inbox = Inbox(2, 100)
    taken: list[Batch | None] = []
    taking = threading.Thread(target=lambda: taken.append(inbox.take()), daemon=True)
    taking.start()
    inbox.close()
    taking.join(10)
    assert taken == [None]
    assert inbox.is_drained
    fill(inbox, b"a" * 60, b"b" * 60)  # of a sender that was being read
    assert inbox.size_bytes == 120
    assert inbox.wait_for_company(30) is True
    assert payloads(inbox.take()) == [b"a" * 60]
    assert inbox.wait_for_company(30) is False
    assert payloads(inbox.take()) == [b"b" * 60]
    assert inbox.is_drained


def test_many_who_fill_and_one_who_takes_lose_nothing_and_keep_each_ones_order() -> None:
    inbox = Inbox(2, 300)

    def fill_all(sender: int) -> None:
        for number in range(200):
            wait_until(partial(fill, inbox, b"%d-%d" % (sender, number)), what="room")

    threads = [threading.Thread(target=fill_all, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    taken: list[bytes] = []

    def has_all() -> bool:
        while batch := inbox.take(0.01):
            taken.extend(payloads(batch))
            inbox.give_back(batch)
        return len(taken) == 800

    wait_until(has_all, what="800 messages")
    for thread in threads:
        thread.join()
    for n in range(4):
        assert [text for text in taken if text.startswith(b"%d-" % n)] == [b"%d-%d" % (n, i) for i in range(200)]
