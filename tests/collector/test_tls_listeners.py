"""Listeners with TLS (RFC 5425): who may send, and as whom."""

import contextlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.logs.collector.receivers import connection, tls
from cloud.logs.collector.receivers.bind import ListenError
from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.settings import ListenerSettings, TlsSettings
from tests.collector.receiving import RELP_OPEN, RELP_OPENED, Authority, Receiving, read_exactly, receiving
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def made(authority: Authority) -> Iterator[Receiving]:
    with receiving(ListenerSettings("tls", "127.0.0.1", tls=authority.server(authority))) as started:
        yield started


def client(authority: Authority, identity: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.certificate)
    if identity:
        context.load_cert_chain(*identity)
    return context


def connect(made: Receiving, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(made.connect(), server_hostname="localhost")


NAMES = [
    ("DNS names", ("compute", "Compute-01.Example", "compute-01"), frozenset({"compute-01.example", "compute-01"})),
    ("a common name alone", ("Compute-02",), frozenset({"compute-02"})),
]


@pytest.mark.parametrize(("signed", "names"), [pytest.param(*rest, id=name) for name, *rest in NAMES])
def test_messages_carry_the_names_of_the_clients_certificate(
    made: Receiving, authority: Authority, signed: tuple[str, ...], names: frozenset[str]
) -> None:
    with connect(made, client(authority, authority.sign(*signed))) as sender:
        sender.sendall(b"7 <13>one7 <13>two")
        assert made.wait_for(2) == [b"<13>one", b"<13>two"]
    assert made.received[0].source.names == names


def test_records_that_come_together_are_read_to_their_end(made: Receiving, authority: Authority) -> None:
    sent = [b"<13>%d %s" % (number, b"x" * (number % 900)) for number in range(8000)]
    with connect(made, client(authority, authority.sign("compute", "compute-01"))) as sender:
        sender.sendall(b"".join(b"%d %s" % (len(text), text) for text in sent))
        assert made.wait_for(8000) == sent
        sender.sendall(b"4 <1>x")
        assert made.wait_for(8001)[-1] == b"<1>x"


def test_without_client_certificates_anybody_may_send_and_is_nobody(authority: Authority) -> None:
    with receiving(ListenerSettings("tls", "127.0.0.1", tls=authority.server(None))) as made:
        with connect(made, client(authority, None)) as sender:
            sender.sendall(b"7 <13>one")
            made.wait_for(1)
        assert made.received[0].source.names is None


def refused(made: Receiving, context: ssl.SSLContext) -> None:
    """With an alert or a reset, in the handshake or, with TLS 1.3, behind it."""
    with contextlib.suppress(OSError), connect(made, context) as sender:
        sender.sendall(b"7 <13>one")
        assert sender.recv(1) == b""


def test_a_client_without_a_certificate_or_with_a_strangers_is_refused_and_counted(
    made: Receiving, authority: Authority, stranger: Authority
) -> None:
    refused(made, client(authority, None))
    made.wait_for_count("listener_refused_total", "no_certificate", 1)
    refused(made, client(authority, stranger.sign("compute-01", "compute-01")))
    made.wait_for_count("listener_refused_total", "certificate", 1)
    assert made.count("listener_connections") == 0
    assert not made.has(1)


def test_tls_1_1_and_no_tls_at_all_are_refused_and_counted(made: Receiving, authority: Authority) -> None:
    with made.connect() as sender:
        sender.sendall(b"<13>plain text, sent to the wrong port\n" * 9)
        with contextlib.suppress(ConnectionResetError):
            sender.recv(4096)
    made.wait_for_count("listener_refused_total", "handshake", 1)
    old = client(authority, authority.sign("compute", "compute-01"))
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    refused(made, old)
    made.wait_for_count("listener_refused_total", "handshake", 2)
    assert not made.has(1)


def test_tls_1_2_is_enough(made: Receiving, authority: Authority) -> None:
    context = client(authority, authority.sign("compute", "compute-01"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with connect(made, context) as sender:
        sender.sendall(b"7 <13>one")
        assert made.wait_for(1) == [b"<13>one"]


def test_who_does_not_shake_hands_in_time_is_closed_and_counted_and_holds_nobody(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.3)
    with receiving(ListenerSettings("tls", "127.0.0.1", tls=authority.server(authority))) as made:
        silent = [made.connect() for _ in range(70)]  # more than may shake hands at once
        assert [each.recv(1) for each in silent] == [b""] * 70
        assert made.count("listener_refused_total", "handshake_timeout") == 70
        assert (made.count("listener_accept_pauses_total", "handshakes") or 0) >= 1
        with connect(made, client(authority, authority.sign("compute", "compute-01"))) as sender:
            sender.sendall(b"7 <13>one")
            assert made.wait_for(1) == [b"<13>one"]
        for each in silent:
            each.close()


def test_relp_over_tls_answers(authority: Authority) -> None:
    with receiving(ListenerSettings("relp+tls", "127.0.0.1", tls=authority.server(authority))) as made:
        with connect(made, client(authority, authority.sign("compute", "compute-01"))) as sender:
            sender.sendall(RELP_OPEN + b"2 syslog 7 <13>one\n")
            made.wait_for(1)
            assert read_exactly(sender, len(RELP_OPENED) + 15) == RELP_OPENED + b"2 rsp 6 200 OK\n"
        wait_until(lambda: made.count("listener_connections") == 0, what="the connection's end")


def test_a_cut_without_a_goodbye_keeps_what_came_before(made: Receiving, authority: Authority) -> None:
    sender = connect(made, client(authority, authority.sign("compute", "compute-01")))
    sender.sendall(b"7 <13>one9 <13>")
    made.wait_for(1)
    socket.socket(fileno=sender.detach()).close()
    assert made.wait_for(2) == [b"<13>one", b"<13>"]
    wait_until(lambda: made.count("listener_connections") == 0, what="the connection's end")


def test_files_that_cannot_be_used_are_named(authority: Authority, stranger: Authority, tmp_path: Path) -> None:
    good = authority.server(authority)
    assert good.client_ca is not None
    missing, garbage = tmp_path / "none.pem", tmp_path / "garbage.pem"
    garbage.write_text("no certificate\n")
    _, other_key = stranger.sign("other")
    bad: list[tuple[TlsSettings, str]] = [
        (replace(good, certificate=missing), f"cannot use certificate {missing}: "),
        (replace(good, certificate=garbage), f"cannot use certificate {garbage}: "),
        (replace(good, key=missing), f"cannot use key {missing} for certificate {good.certificate}: "),
        (replace(good, key=other_key), f"cannot use key {other_key} for certificate {good.certificate}: .*mismatch"),
        (replace(good, client_ca=garbage), f"cannot use client_ca {garbage}: "),
    ]
    for settings, message in bad:
        with pytest.raises(ListenError, match=message):
            Receiving(ListenerSettings("tls", "127.0.0.1", tls=settings))


def test_renewed_files_are_shown_to_those_who_connect_from_then_on_once_they_go_together(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_S", 0)
    context = client(authority, authority.sign("compute", "compute-01"))
    old, new = authority.sign("localhost", "localhost"), Authority(tmp_path).sign("localhost")
    shown = TlsSettings(tmp_path / "shown.pem", tmp_path / "shown.key", authority.certificate)
    for source, target in zip(old, (shown.certificate, shown.key), strict=True):
        shutil.copy(source, target)

    def certificate_shown(made: Receiving) -> bytes:
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        with connect(made, anybody) as looking:
            return looking.getpeercert(binary_form=True) or b""

    def der(certificate: Path) -> bytes:
        return ssl.PEM_cert_to_DER_cert(certificate.read_text())

    with receiving(ListenerSettings("tls", "127.0.0.1", tls=shown)) as made, connect(made, context) as sender:
        assert certificate_shown(made) == der(old[0])
        shutil.copy(new[0], shown.certificate)
        assert certificate_shown(made) == der(old[0])
        shown.key.unlink()
        assert certificate_shown(made) == der(old[0])
        shutil.copy(new[1], shown.key)
        assert certificate_shown(made) == der(new[0])
        sender.sendall(b"7 <13>one")
        assert made.wait_for(1) == [b"<13>one"]


def test_files_are_looked_at_every_few_seconds_only(authority: Authority, tmp_path: Path) -> None:
    now_s = 100.0
    shown = TlsSettings(tmp_path / "shown.pem", tmp_path / "shown.key", None)
    for source, target in zip(authority.sign("localhost"), (shown.certificate, shown.key), strict=True):
        shutil.copy(source, target)
    context = tls.TlsContext(shown, Complaints(), lambda: now_s)
    first = context.current()
    for source, target in zip(authority.sign("renewed"), (shown.certificate, shown.key), strict=True):
        shutil.copy(source, target)
    now_s += tls.LOOK_S - 1
    assert context.current() is first
    now_s += 1
    second = context.current()
    assert second is not first
    now_s += tls.LOOK_S
    assert context.current() is second
