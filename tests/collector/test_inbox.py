import threading

from cloud.logs.collector.inbox import MESSAGE_OVERHEAD_BYTES, Inbox
from tests.collector.batches import received
from tests.waiting import wait_until

ROOM_FOR_ONE = 100 + MESSAGE_OVERHEAD_BYTES


def test_messages_come_out_in_order_and_no_more_than_asked_for() -> None:
    inbox = Inbox(1 << 20)
    batch = [received(b"%d" % number) for number in range(5)]
    inbox.put(batch[:2])
    inbox.put(batch[2:])
    assert inbox.take(3) == batch[:3]
    assert inbox.take(3) == batch[3:]
    assert inbox.size_bytes == 0


def test_size_counts_payload_and_what_a_message_costs_beside_it() -> None:
    inbox = Inbox(1 << 20)
    inbox.put([received(b"x" * 100), received(b"")])
    assert inbox.size_bytes == 500


def test_nothing_to_take_is_empty_after_the_timeout() -> None:
    assert Inbox(1 << 20).take(3, 0.001) == []


def test_a_full_inbox_holds_who_puts_until_there_is_room() -> None:
    inbox = Inbox(ROOM_FOR_ONE)
    inbox.put([received(b"a" * 100)])
    putting = threading.Thread(target=inbox.put, args=([received(b"b" * 100)],))
    putting.start()
    putting.join(0.05)
    assert putting.is_alive()
    assert inbox.size_bytes == 300
    assert [each.message.payload[:1] for each in inbox.take(9)] == [b"a"]
    putting.join(10)
    assert not putting.is_alive()
    assert [each.message.payload[:1] for each in inbox.take(9)] == [b"b"]


def test_one_batch_may_go_over_the_bound() -> None:
    inbox = Inbox(ROOM_FOR_ONE)
    inbox.put([received(b"x" * 1000)] * 3)
    assert inbox.size_bytes == 3600


def test_nothing_put_does_not_wait_in_a_full_inbox() -> None:
    inbox = Inbox(1)
    inbox.put([received(b"a")])
    inbox.put([])
    assert len(inbox.take(9)) == 1


def test_closing_frees_who_puts_and_who_takes_and_loses_nothing() -> None:
    full, empty, taken = Inbox(1), Inbox(1), []
    full.put([received(b"a")])
    putting = threading.Thread(target=full.put, args=([received(b"b")],))
    taking = threading.Thread(target=lambda: taken.append(empty.take(9)))
    putting.start()
    taking.start()
    full.close()
    empty.close()
    putting.join(10)
    taking.join(10)
    assert taken == [[]]
    assert [each.message.payload for each in full.take(9)] == [b"a", b"b"]
    assert full.is_drained
    assert full.take(9) == []


def test_it_is_drained_when_closed_and_empty() -> None:
    inbox = Inbox(1 << 20)
    assert not inbox.is_drained
    inbox.put([received(b"a")])
    inbox.close()
    assert not inbox.is_drained
    inbox.take(1)
    assert inbox.is_drained


def test_many_who_put_and_one_who_takes_lose_nothing() -> None:
    inbox = Inbox(ROOM_FOR_ONE * 30)

    def put_all(sender: int) -> None:
        for number in range(200):
            inbox.put([received(b"%d-%d" % (sender, number))])

    threads = [threading.Thread(target=put_all, args=(sender,)) for sender in range(5)]
    for thread in threads:
        thread.start()
    taken: list[bytes] = []

    def has_all() -> bool:
        taken.extend(each.message.payload for each in inbox.take(70, 0.01))
        return len(taken) == 1000

    wait_until(has_all, what="1000 messages")
    for thread in threads:
        thread.join()
    for n in range(5):
        assert [text for text in taken if text.startswith(b"%d-" % n)] == [b"%d-%d" % (n, i) for i in range(200)]
