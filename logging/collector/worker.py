"""A thread that the collector cannot do without: if it dies, the collector stops rather than look alive."""

import threading
from collections.abc import Callable

from loguru import logger


def start_worker(name: str, run: Callable[[], None], on_broken: Callable[[], None]) -> threading.Thread:
    """Start `run` in a daemon thread; `on_broken` is called from it when `run` raises, which is logged."""

    def guarded() -> None:
        try:
            run()
        except Exception:  # noqa: BLE001 - whatever it is, the process must not go on without this thread
            logger.bind(thread=name).exception("worker died, stopping")
            on_broken()

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread
