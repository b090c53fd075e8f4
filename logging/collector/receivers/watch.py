"""What the receiver's thread waits for: sockets that are ready, and those that are to be looked at anyway."""

import selectors
from typing import Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Watched(Protocol):
    """Something with a file descriptor that is told when it is ready."""

    def fileno(self) -> int: ...

    def on_ready(self, events: int) -> None: ...


class Watch:
    """A selector whose members may be put aside, and put back, without a turn of the loop being lost on them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._events: dict[Watched, int] = {}
        self._again: dict[Watched, None] = {}
        self._held: dict[Watched, None] = {}

    @property
    def has_again(self) -> bool:
        return bool(self._again)

    def set(self, member: Watched, events: int) -> None:
        """Tell `member` of these events from now on; 0: of none."""
        before = self._events.get(member, 0)
        if events == before:
            return
        if not before:
            self._selector.register(member, events, member)
        elif events:
            self._selector.modify(member, events, member)
        else:
            self._selector.unregister(member)
        if events:
            self._events[member] = events
        else:
            del self._events[member]

    def again(self, member: Watched) -> None:
        """Tell `member` in the next turn that it is readable, whatever the kernel says."""
        self._again[member] = None

    def hold(self, member: Watched) -> None:
        """Tell `member` of nothing until `release`, then that it is readable."""
        self.set(member, 0)
        self._held[member] = None

    def release(self) -> None:
        """There is room again."""
        self._again |= self._held
        self._held.clear()

    def forget(self, member: Watched) -> None:
        self.set(member, 0)
        self._again.pop(member, None)
        self._held.pop(member, None)

    def ready(self, timeout_s: float | None) -> dict[Watched, int]:
        """Who is ready for which events, waiting until somebody is or `timeout_s` is over."""
        ready: dict[Watched, int] = {
            key.data: events for key, events in self._selector.select(0 if self._again else timeout_s)
        }
        for member in self._again:
            ready[member] = ready.get(member, 0) | READ
        self._again.clear()
        return ready

    def close(self) -> None:
        self._selector.close()
