"""One sender's connection from its first byte to its last: handshake, read, answer, close."""

import ssl
import time
from dataclasses import dataclass
from typing import Protocol

from cloud.logs.collector.batch import Source
from cloud.logs.collector.receivers.complaints import Complaints
from cloud.logs.collector.receivers.intake import Intake
from cloud.logs.collector.receivers.relp import Ledger, RelpFrames, RelpSession
from cloud.logs.collector.receivers.relp_framing import RelpError
from cloud.logs.collector.receivers.settings import ListenerSettings
from cloud.logs.collector.receivers.stream import MAX_CARRIED_BYTES, Frames, Progress, Stream, SyslogFrames
from cloud.logs.collector.receivers.transport import TlsTransport, Transport
from cloud.logs.collector.receivers.watch import READ, WRITE, Watch

HANDSHAKE_S = 10.0
MAX_HELD_BYTES = 64 << 20
"""Of unfinished messages, all connections together; who brings more than a little beyond that is cut off."""


@dataclass(slots=True)
class Shared:
    """What all connections of a receiver have in common."""

    intake: Intake
    watch: Watch
    ledger: Ledger
    complaints: Complaints
    held_bytes: int = 0
    relp_read_s: float = 0.0
    """When a RELP peer sent something last (monotonic seconds)."""


class Owner(Protocol):
    """Who counts the connection."""

    settings: ListenerSettings

    def has_shaken_hands(self, connection: "Connection") -> None:
        """Or failed to."""

    def has_closed(self, connection: "Connection") -> None: ...


class Connection:
    """A member of the watch, from `start` until it has closed itself."""

    def __init__(self, transport: Transport, peer: str, owner: Owner, shared: Shared) -> None:
        self.fileno = transport.fileno
        self.session: RelpSession | None = None
        self._shaking: TlsTransport | None = transport if isinstance(transport, TlsTransport) else None
        self.deadline_s = time.monotonic() + HANDSHAKE_S
        """Of the handshake, in monotonic seconds."""
        self._transport = transport
        self._peer = peer
        self._owner = owner
        self._shared = shared
        self._held_bytes = 0
        self._is_reading = True
        self._has_ended = False
        self._stream: Stream | None = None

    @property
    def is_shaking_hands(self) -> bool:
        return self._shaking is not None

    def start(self) -> None:
        if not self.is_shaking_hands:
            self._stream = self._opened(Source(self._peer))
        self._arm()

    def on_ready(self, events: int) -> None:
        if self._shaking is not None:
            self._shake_hands(self._shaking)
            return
        if events & WRITE:
            self.flush()
        if events & READ and self._may_read:
            self.read()

    def read(self) -> bool:
        """Read once; whether there may be more right now."""
        if self._stream is None:
            return False
        if self._has_ended:
            return self._close_when_placed()
        try:
            progress = self._stream.read(self._transport)
        except RelpError as error:
            if self.session is not None:
                self._refuse(error, self.session)
            return False
        if progress is Progress.ENDED:
            return self.end()
        if progress is Progress.NO_ROOM:
            self._shared.watch.hold(self)
            return True
        if progress is Progress.AGAIN:
            self._shared.watch.again(self)
        self._account(self._stream.held_bytes)  # first: the answers may be the last thing that this connection does
        if self.session is not None and progress is not Progress.NOTHING:
            self._shared.relp_read_s = time.monotonic()
            self.flush()
        else:
            self._arm()
        return progress is not Progress.NOTHING

    def flush(self) -> None:
        """Send as many answers as the peer takes."""
        session = self.session
        if session is None or self._has_ended:
            return
        try:
            while session.output and (sent := self._transport.send(session.output)):
                del session.output[:sent]
        except OSError:
            self.end()
            return
        if session.is_ending and not session.output:
            self.end()
        else:
            self._arm()

    def stop_reading(self) -> None:
        """Only send from now on."""
        self._is_reading = False
        self._shared.watch.forget(self)
        self._arm()

    def end(self) -> bool:
        """Close, unless its last messages have to wait for room; whether they have to."""
        self._has_ended = True
        self._shared.watch.set(self, 0)
        return self._close_when_placed()

    def drop(self) -> int:
        """Close at once; how many messages were let go of, of those that nobody will send again."""
        self._has_ended = True
        dropped = self._stream.drop() if self._stream is not None and self.session is None else 0
        self._close()
        return dropped

    def refuse(self, reason: str, message: str, cause: str) -> None:
        """Close one that has not been read from yet, and count it; `message` is a constant."""
        self._shared.intake.metrics.refused.labels(reason).inc()
        self._shared.complaints.warn(message, peer=self._peer, listener=self._owner.settings.url(), cause=cause)
        self._close()

    @property
    def _may_read(self) -> bool:
        return self._is_reading and (self.session is None or self.session.may_read)

    def _shake_hands(self, transport: TlsTransport) -> None:
        try:
            events = transport.shake_hands()
        except OSError as exc:
            self.refuse(_refusal(exc), "TLS handshake failed", str(exc))
            return
        if events is not None:
            self._shared.watch.set(self, events)
            return
        self._shaking = None
        self._owner.has_shaken_hands(self)
        tls = self._owner.settings.tls
        names = transport.client_names() if tls is not None and tls.client_ca is not None else None
        self._stream = self._opened(Source(self._peer, names))
        self._arm()
        self._shared.watch.again(self)  # what came behind the handshake is in TLS's own buffer

    def _opened(self, source: Source) -> Stream:
        settings = self._owner.settings
        frames: Frames
        if settings.scheme in ("relp", "relp+tls"):
            self.session = RelpSession(self._shared.ledger, self.flush)
            frames = RelpFrames(settings.max_message_bytes, self.session)
        else:
            frames = SyslogFrames(settings.max_message_bytes, settings.framing)
        return Stream(frames, source, self._shared.intake)

    def _arm(self) -> None:
        """Wait for what there is to be done; nothing is where the connection has ended."""
        if self._has_ended:
            return
        events = READ if self.is_shaking_hands or self._may_read else 0
        if self.session is not None and self.session.output:
            events |= WRITE
        self._shared.watch.set(self, events)

    def _refuse(self, error: RelpError, session: RelpSession) -> None:
        self._shared.intake.metrics.relp_failures.labels(error.reason).inc()
        self._shared.complaints.warn("RELP peer refused", peer=self._peer, reason=error.reason)
        session.refuse(error)
        self.flush()

    def _account(self, held_bytes: int) -> None:
        """Keep count of what is unfinished here, and end if all connections together hold too much."""
        shared = self._shared
        shared.held_bytes += held_bytes - self._held_bytes
        self._held_bytes = held_bytes
        if shared.held_bytes > MAX_HELD_BYTES and held_bytes > MAX_CARRIED_BYTES:
            shared.intake.metrics.refused.labels("unfinished").inc()
            shared.complaints.warn("connection closed: too much is unfinished", peer=self._peer, bytes=held_bytes)
            self.end()

    def _close_when_placed(self) -> bool:
        if self.session is None and self._stream is not None and not self._stream.close():
            self._shared.watch.hold(self)
            return True
        self._close()
        return False

    def _close(self) -> None:
        self._shared.watch.forget(self)
        self._account(0)
        self._stream = None
        self._transport.close()
        self._owner.has_closed(self)


def _refusal(error: OSError) -> str:
    """The reason that is counted for a failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    if isinstance(error, ssl.SSLError) and error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no_certificate"
    return "handshake"
