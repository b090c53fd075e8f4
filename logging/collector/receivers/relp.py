"""RELP's server side: messages that are answered once they are durable, and not before."""

from collections import deque
from collections.abc import Callable, Iterator

from cloud.logs.collector.batch import Batch
from cloud.logs.collector.framing import Message
from cloud.logs.collector.receivers.intake import Intake, Views
from cloud.logs.collector.receivers.relp_framing import RelpError, RelpFrame, RelpFramer
from cloud.logs.collector.receivers.scan import Numbers, Scanned, scan_relp

MAX_OUTPUT_BYTES = 256 << 10
_OFFERS = b"relp_version=0\nrelp_software=cloud\ncommands=syslog"
_SERVER_CLOSE = b"0 serverclose 0\n"


class Ledger:
    """Whom an answer is owed for what: from a message's arrival until its batch is durable."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called from the writer's thread when `take_due` has something to give."""
        self.open_accounts = 0
        """Pairs of a peer and a batch; 0: nobody waits."""
        self._due: deque[Account] = deque()
        self._wake = wake

    def open(self, session: "RelpSession", batch: Batch) -> "Account":
        """With the inbox's lock held."""
        self.open_accounts += 1
        return Account(session, batch, self._is_durable)

    def take_due(self) -> "Iterator[Account]":
        """Those whose batch has been committed since the last call."""
        while self._due:
            self.open_accounts -= 1
            yield self._due.popleft()

    def _is_durable(self, account: "Account") -> None:
        self._due.append(account)
        self._wake()


class Account:
    """The transactions of one peer in one batch."""

    def __init__(self, session: "RelpSession", batch: Batch, when_durable: "Callable[[Account], None]") -> None:
        self.session = session
        self.batch = batch
        self.numbers: list[int] = []
        self.is_durable = False
        self._when_durable = when_durable
        batch.on_commit.append(self._committed)

    def _committed(self) -> None:
        """In the writer's thread. The batch is used again afterwards, so nothing may be added here."""
        self.is_durable = True
        self._when_durable(self)


class RelpSession:
    """What one peer is owed: `output` is to be sent to it, as much as it takes."""

    def __init__(self, ledger: Ledger, flush: Callable[[], None]) -> None:
        """`flush` is called when there is something in `output` that was not asked for by the peer just now."""
        self.output = bytearray()
        self.unanswered = 0
        """Messages received and not durable yet."""
        self.is_open = False
        self.is_ending = False
        """Nothing more is read, and the connection is closed when `output` has been sent."""
        self.flush = flush
        self._close_txnr: int | None = None
        self._ledger = ledger
        self._account: Account | None = None

    @property
    def may_read(self) -> bool:
        """Whether the peer has taken enough of its answers to be read from."""
        return not self.is_ending and self._close_txnr is None and len(self.output) < MAX_OUTPUT_BYTES

    def owe(self, batch: Batch, numbers: list[int]) -> None:
        """These transactions are in `batch`; with the inbox's lock held."""
        account = self._account
        if account is None or account.batch is not batch or account.is_durable:
            account = self._account = self._ledger.open(self, batch)
        account.numbers += numbers
        self.unanswered += len(numbers)

    def answer(self, account: Account) -> None:
        """Confirm what is durable now."""
        self.output += b"".join([b"%d rsp 6 200 OK\n" % number for number in account.numbers])
        self.unanswered -= len(account.numbers)
        self._close_when_answered()

    def obey(self, frame: RelpFrame) -> Message | None:
        """The message if it is one to store; `RelpError` for what a peer must not send here."""
        if self._close_txnr is not None or self.is_ending:
            raise RelpError("after_close", frame.txnr)
        if frame.command == "open":
            self._open(frame)
            return None
        if not self.is_open:
            raise RelpError("not_open", frame.txnr)
        if frame.command == "syslog":
            if frame.message.payload:
                return frame.message
            self._respond(frame.txnr, b"200 OK")  # nothing is there to be stored
            return None
        if frame.command == "close":
            self._close_txnr = frame.txnr
            self._close_when_answered()
            return None
        raise RelpError("command", frame.txnr)

    def refuse(self, error: RelpError) -> None:
        """Say so, and end."""
        self._respond(error.txnr, b"500 " + error.reason.encode())
        self.end()

    def end(self) -> None:
        """Take leave, from our side."""
        if not self.is_ending:
            self.output += _SERVER_CLOSE
            self.is_ending = True

    def _open(self, frame: RelpFrame) -> None:
        if self.is_open:
            raise RelpError("open_twice", frame.txnr)
        offers = dict(line.partition(b"=")[::2] for line in frame.message.payload.split(b"\n"))
        if not offers.get(b"relp_version", b"").isdigit():
            raise RelpError("version", frame.txnr)
        if b"syslog" not in offers.get(b"commands", b"").split(b","):
            raise RelpError("no_syslog", frame.txnr)
        self.is_open = True
        self._respond(frame.txnr, b"200 OK\n" + _OFFERS)

    def _close_when_answered(self) -> None:
        if self._close_txnr is not None and not self.unanswered and not self.is_ending:
            self.output += b"%d rsp 0\n" % self._close_txnr
            self.end()

    def _respond(self, txnr: int, text: bytes) -> None:
        self.output += b"%d rsp %d %s\n" % (txnr, len(text), text)


class RelpFrames:
    """A RELP connection's `Frames`: its messages are owed an answer from the moment they are in a batch."""

    def __init__(self, max_message_bytes: int, session: RelpSession) -> None:
        self._framer = RelpFramer(max_message_bytes)
        self._max_bytes = max_message_bytes
        self._session = session
        self._numbers: deque[int] = deque()  # of the messages that `feed` gave and that are in no batch yet

    @property
    def is_steady(self) -> bool:
        return self._session.is_open and self._session.may_read and not self._framer.is_under_way

    @property
    def held_bytes(self) -> int:
        return self._framer.held_bytes

    def scan(self, intake: Intake, views: Views, begin: int, end: int, limit: int) -> Scanned:
        starts, ends, numbers = intake.starts[:limit], intake.ends[:limit], intake.numbers[:limit]
        return scan_relp(views.data, begin, end, self._max_bytes, starts, ends, numbers)

    def feed(self, data: bytes) -> Iterator[Message]:
        """`RelpError` behind the last message before what is none."""
        for frame in self._framer.feed(data):
            if message := self._session.obey(frame):
                self._numbers.append(frame.txnr)
                yield message

    def give_back(self) -> bytes:
        return self._framer.give_back()

    def close(self) -> Iterator[Message]:
        """Nothing: what was not answered is sent again."""
        yield from ()

    def take_bad_counts(self) -> int:
        return 0

    def placed(self, batch: Batch, numbers: Numbers | None, count: int) -> None:
        if numbers is None:
            self._session.owe(batch, [self._numbers.popleft() for _ in range(count)])
        else:
            self._session.owe(batch, numbers.tolist())
