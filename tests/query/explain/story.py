"""Short stories of one instance, in the lines of classic nova, and the store that has several of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.query.explain.explanation import Certainty, Explanation
from tests.query.explain.wire import NOON_US, line, table

USER = "8b7d3f0a11aa4c5e9d0f6a2b3c4d5e6f 0f1e2d3c4b5a69788796a5b4c3d2e1f0 - - -"
PERIODIC = "- - - - -"
MANAGER, DRIVER, RPC = "nova.compute.manager", "nova.virt.libvirt.driver", "oslo_messaging.rpc.dispatcher"
CLAIMS = "nova.compute.claims"
_PACKAGES = "/usr/lib/python2.7/dist-packages/nova"


class Story:
    """Lines of one instance and its requests, each `at_s` seconds after noon."""

    def __init__(self, number: int) -> None:
        self.uuid = f"00000000-0000-4000-8000-{number:012}"
        self.number = number
        self.lines: list[bytes] = []

    def request(self, turn: int = 1) -> str:
        return f"req-00000000-0000-4000-9000-{self.number:08}{turn:04}"

    def host(self, name: str) -> str:
        return f"{name}-{self.number}"

    def say(
        self,
        host: str,
        at_s: float,
        level: str,
        text: str,
        *,
        logger: str = MANAGER,
        turn: int | None = 1,
        user: str = USER,
        service: str = "nova-compute",
        is_tagged: bool = True,
        trace: str = "",
        frames: Sequence[str] = ("compute/manager.py a_function",),
    ) -> "Story":
        """`turn` is the number of the request, None for none; `trace` the last line of a traceback with `frames`."""
        clock = f"2027-01-15 12:{int(at_s) // 60:02}:{at_s % 60:06.3f}"
        context = "[-]" if turn is None else f"[{self.request(turn)} {user}]"
        instance = f"[instance: {self.uuid}] " if is_tagged else ""
        said = [f"{clock} 77 {level} {logger} {context} {instance}{text}"]
        if trace:
            places = [each.split(" ") for each in frames]
            files = [f'  File "{_PACKAGES}/{file}", line 1, in {function}' for file, function in places]
            told = ["Traceback (most recent call last):", *files, *trace.split("\n")]
            said += [f"{clock} 77 ERROR {logger} {instance}{each}" for each in told]
        self.lines += [line(each, at_s=at_s, host=self.host(host), service=service) for each in said]
        return self

    def tell(self, at_s: float, level: str, text: str, *, service: str = "nova-conductor") -> "Story":
        return self.say("ctl", at_s, level, text, logger="nova.scheduler.utils", service=service, is_tagged=False)

    def beside(self, host: str, at_s: float, text: str, *, service: str) -> "Story":
        """What a host says without naming anybody."""
        self.lines.append(line(text, at_s=at_s, host=self.host(host), service=service, severity=3))
        return self


def stored(stories: Iterable[Story], directory: Path) -> DuckDbStore:
    """All of them in one store, which whoever asks for it closes."""
    store = DuckDbStore(directory)
    store.append(table([each for story in stories for each in story.lines], observed_us=NOON_US + 7_200_000_000))
    return store


def error_of(found: Explanation) -> str | None:
    return found.failure.error if found.failure is not None else None


def where(found: Explanation) -> tuple[str | None, Certainty] | None:
    return (found.position.host, found.position.certainty) if found.position is not None else None
