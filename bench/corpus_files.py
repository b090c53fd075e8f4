"""A corpus on disk: one file for each host, and thus for each connection, in each framing."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.corpus import BEGIN, HOSTS, corpus


@dataclass(frozen=True, slots=True)
class CorpusFiles:
    """The same messages twice: ended by LF, and with their octets counted (RFC 6587)."""

    messages: int
    message_bytes: int
    lf: tuple[Path, ...]
    octet_counted: tuple[Path, ...]

    @property
    def lf_bytes(self) -> int:
        return self.message_bytes + self.messages


def write_corpus(directory: Path, messages: int, seed: int, begin: datetime = BEGIN) -> CorpusFiles:
    """Write `messages` lines of `seed` to files in `directory`, which exists.

    A `begin` close to the time of arrival lets RFC 3164, which has no year, be taken for what it is.
    """
    lf = tuple(directory / f"{host}.lf" for host in HOSTS)
    octet_counted = tuple(directory / f"{host}.octets" for host in HOSTS)
    message_bytes = 0
    with ExitStack() as stack:
        files = [
            (stack.enter_context(one.open("wb")), stack.enter_context(other.open("wb")))
            for one, other in zip(lf, octet_counted, strict=True)
        ]
        for host, payload in corpus(messages, seed, begin):
            ended, counted = files[host]
            ended.write(payload + b"\n")
            counted.write(b"%d %b" % (len(payload), payload))
            message_bytes += len(payload)
    return CorpusFiles(messages, message_bytes, lf, octet_counted)
