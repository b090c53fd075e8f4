"""RELP: nothing is confirmed before it is durable."""

import contextlib
import socket
import threading

import pytest

from cloud.logs.collector.receivers.settings import ListenerSettings
from tests.collector.receiving import RELP_OPEN, read_exactly, receiving
from tests.waiting import wait_until

RELP = ListenerSettings("relp", "127.0.0.1", max_message_bytes=4096)
OK = b"%d rsp 6 200 OK\n"


def syslog(number: int, text: bytes) -> bytes:
    return b"%d syslog %d %s\n" % (number, len(text), text)


def test_messages_are_confirmed_once_their_batch_is_durable_and_not_before() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender:
        made.durable = False
        sender.sendall(syslog(2, b"<13>one") + syslog(3, b"<13>two\nlines"))
        assert made.wait_for(2) == [b"<13>one", b"<13>two\nlines"]
        sender.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sender.recv(1)
        sender.settimeout(10)
        made.commit()
        assert read_exactly(sender, 30) == OK % 2 + OK % 3
        wait_until(lambda: made.count("relp_answers_total") == 2, what="the metric")


def test_messages_of_one_connection_in_several_batches_are_confirmed_batch_by_batch() -> None:
    with receiving(RELP, batches=3) as made, made.connect_relp() as sender:
        made.durable = False
        for number in (2, 3):
            sender.sendall(syslog(number, b"<13>x"))
            made.wait_for(number - 1)
        [first, second] = made.taken
        made.taken = [first]
        made.commit()
        assert read_exactly(sender, 15) == OK % 2
        sender.sendall(syslog(4, b"<13>x"))  # may come into the batch that was just given back
        made.taken = [second]
        made.wait_for(3)
        made.commit()
        assert read_exactly(sender, 30) == OK % 3 + OK % 4


def test_when_all_peers_wait_the_writer_is_told_not_to_wait_for_company() -> None:
    with receiving(RELP) as made, made.connect_relp() as one, made.connect_relp() as other:
        for _ in range(3):
            one.sendall(syslog(2, b"<13>one"))
            other.sendall(syslog(2, b"<13>other"))
            wait_until(lambda: made.inbox.size_bytes > 0, what="a message")
            has_returned = threading.Event()

            def wait_for_company(has_returned: threading.Event = has_returned) -> None:
                made.inbox.wait_for_company(30)
                has_returned.set()

            waiting = threading.Thread(target=wait_for_company, daemon=True)
            waiting.start()
            assert has_returned.wait(10)
            assert made.inbox.take_hurry()
            wait_until(lambda: made.has(0) or not made.inbox.size_bytes, what="an empty inbox")
            assert read_exactly(one, 15) == read_exactly(other, 15) == OK % 2


def test_many_messages_in_any_pieces_are_all_stored_and_confirmed_in_order() -> None:
    stream = b"".join(syslog(number, b"<13>%d %s" % (number, b"x" * (number % 700))) for number in range(2, 5002))
    with receiving(RELP, batches=2, batch_bytes=1 << 18) as made, made.connect_relp() as sender:

        def send() -> None:
            for at in range(0, len(stream), 7777):
                sender.sendall(stream[at : at + 7777])

        sending = threading.Thread(target=send)
        sending.start()
        received = made.wait_for(5000, 30)
        sending.join()
        assert [int(text[4:].split()[0]) for text in received] == list(range(2, 5002))
        expected = b"".join(OK % number for number in range(2, 5002))
        assert read_exactly(sender, len(expected)) == expected


def test_an_oversize_message_keeps_head_and_tail_and_is_confirmed() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender:
        sender.sendall(syslog(2, b"<13>" + b"x" * 200_000) + syslog(3, b"<13>next"))
        received = made.wait_for(2)
        assert received == [b"<13>" + b"x" * 2044 + b" [... 195908 bytes cut ...] " + b"x" * 2048, b"<13>next"]
        assert [each.is_truncated for each in made.received] == [True, False]
        assert sorted(read_exactly(sender, 30).splitlines()) == [b"2 rsp 6 200 OK", b"3 rsp 6 200 OK"]
        assert made.count("framing_failures_total", "oversize") == 1


def test_close_is_answered_behind_what_it_was_preceded_by() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender:
        made.durable = False
        sender.sendall(syslog(2, b"<13>last") + b"3 close 0\n")
        made.wait_for(1)
        made.commit()
        assert read_exactly(sender, 99) == b"2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n"
        wait_until(lambda: made.count("listener_connections") == 0, what="the connection's end")


def test_close_of_a_peer_that_waits_for_nothing_ends_its_connection_and_no_other() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender, made.connect_relp() as other:
        sender.sendall(b"2 close 0\n")
        assert read_exactly(sender, 99) == b"2 rsp 0\n0 serverclose 0\n"
        wait_until(lambda: made.count("listener_connections") == 1, what="the connection's end")
        other.sendall(syslog(2, b"<13>later"))
        assert made.wait_for(1) == [b"<13>later"]


def test_an_empty_message_is_confirmed_and_nothing_is_stored() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender:
        sender.sendall(b"2 syslog 0\n3 syslog 0 \n")
        assert read_exactly(sender, 30) == OK % 2 + OK % 3
        assert not made.has(1)


FAULTS = [
    ("syslog before open", b"1 syslog 3 abc\n", "not_open", b"1 rsp 12 500 not_open\n"),
    ("no RELP", b"<13>1 - - - - - - x\n", "frame", b"0 rsp 9 500 frame\n"),
    ("HTTP", b"GET / HTTP/1.1\r\n", "frame", b"0 rsp 9 500 frame\n"),
    ("no LF behind the data", RELP_OPEN + b"2 syslog 3 abcd\n", "frame", b"2 rsp 9 500 frame\n"),
    ("another open", RELP_OPEN + RELP_OPEN, "open_twice", b"1 rsp 14 500 open_twice\n"),
    ("an unknown command", RELP_OPEN + b"2 rset 0\n", "command", b"2 rsp 11 500 command\n"),
    ("an endless command", b"1 open 999999999 relp", "command_size", b"1 rsp 16 500 command_size\n"),
    ("an open without a version", b"1 open 15 commands=syslog\n", "version", b"1 rsp 11 500 version\n"),
    ("an open without syslog", b"1 open 28 relp_version=0\ncommands=eval\n", "no_syslog", b"1 rsp 13 500 no_syslog\n"),
    ("more behind close", RELP_OPEN + b"2 close 0\n3 syslog 1 x\n", "after_close", b""),
]


@pytest.mark.parametrize(("sent", "reason", "answer"), [pytest.param(*rest, id=name) for name, *rest in FAULTS])
def test_what_a_peer_must_not_send_is_answered_counted_and_the_end(sent: bytes, reason: str, answer: bytes) -> None:
    with receiving(RELP) as made, made.connect() as sender, made.connect_relp() as friend:
        sender.sendall(sent)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while more := sender.recv(4096):
                said += more
        assert answer in said
        assert b"0 serverclose 0\n" in said
        wait_until(lambda: made.count("relp_failures_total", reason) == 1, what="the metric")
        friend.sendall(syslog(2, b"<13>friend"))
        wait_until(lambda: made.has(0) or b"<13>friend" in made.payloads, what="the friend's line")


def test_a_peer_that_takes_no_answers_is_not_read_any_more_until_it_does() -> None:
    number = 300_000
    stream = b"".join(syslog(each, b"x") for each in range(2, number + 2))
    with receiving(RELP, batches=2, batch_bytes=1 << 17) as made:
        sender = socket.socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender.connect(("127.0.0.1", made.port()))
        sender.settimeout(30)
        sender.sendall(RELP_OPEN)
        sending = threading.Thread(target=sender.sendall, args=(stream,))
        sending.start()
        stopped = threading.Event()

        def take_on() -> None:
            while not stopped.is_set():
                made.take()

        taking = threading.Thread(target=take_on)
        taking.start()
        wait_until(made.receiver._connections, what="the connection")
        session = made.receiver._connections()[0].session
        assert session is not None
        wait_until(lambda: not session.may_read and not session.unanswered, what="a peer that is not read")
        most = len(session.output)
        threading.Event().wait(0.1)
        assert len(session.output) == most
        assert most < (256 << 10) + 2 * 7_000 * 20  # and the answers to what two batches hold
        lines = 0
        while lines < number + 4:  # those of the answer to open
            lines += sender.recv(64 << 10).count(b"\n")
        sending.join()
        stopped.set()
        taking.join()
        assert len(made.received) == number
        sender.close()


def test_what_was_not_confirmed_when_the_connection_died_is_stored_and_the_answer_harms_nobody() -> None:
    with receiving(RELP) as made:
        made.durable = False
        sender = made.connect_relp()
        sender.sendall(syslog(2, b"<13>one") + b"3 syslog 100 <13>half")
        made.wait_for(1)
        sender.close()
        wait_until(lambda: made.count("listener_connections") == 0, what="the connection's end")
        made.commit()
        with made.connect_relp() as other:
            other.sendall(syslog(2, b"<13>one"))
            made.durable = True
            assert made.wait_for(2) == [b"<13>one", b"<13>one"]
            assert read_exactly(other, 15) == OK % 2


def test_stop_confirms_what_becomes_durable_behind_the_last_read_and_takes_leave() -> None:
    with receiving(RELP) as made, made.connect_relp() as sender, made.connect_relp() as idle:
        made.durable = False
        sender.sendall(syslog(2, b"<13>one"))
        made.wait_for(1)
        made.receiver.stop_reading()
        made.commit()
        made.receiver.stop()
        assert read_exactly(sender, 99) == OK % 2 + b"0 serverclose 0\n"
        assert read_exactly(idle, 99) == b"0 serverclose 0\n"
