"""Between parsing and storing: what a host may have stored a day, so that one that loops does not expire the others."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field

from cloud.logs.collector.batch import Batch
from cloud.logs.collector.columns.rows import Rows
from cloud.logs.collector.hosts import BACKFILL_PEER, MAX_HOSTS, OTHER, ByHost, by_host
from cloud.logs.collector.lines import Mark, MarkKind
from cloud.logs.collector.metrics import Metrics
from cloud.logs.collector.storage import directory
from cloud.logs.collector.storage.names import UNFINISHED

SAVE_S = 10.0
SAY_US = 3_600_000_000  # an hour
MAX_NAME = 255  # a longer name is one of OTHER
_INFO = 6
_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Host:
    bytes: int = 0
    """Of the messages that were let through today."""
    dropped: int = 0
    """Lines, today, since the start of the process."""
    said_us: int | None = None


class Budget:
    """Bytes of messages, as they were received, that each host may have stored a day (UTC, by arrival).

    A host that has used up its budget has its info and debug lines dropped, but those with a migration or an event;
    one that has used up twice as much has every line dropped. So a host takes up twice its budget and one message at
    most. Lines that are backfilled are let through and not counted. Beyond MAX_HOSTS a day all hosts are one, with one
    budget; of them only info and debug lines are dropped, or whoever makes up names could silence the others. A line
    that comes again is counted again: whether it does is known only when it is committed.

    For one thread, the writer's.
    """

    def __init__(
        self,
        daily_bytes: int,
        metrics: Metrics,
        data: Path | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`daily_bytes` 0 limits nobody; today's counts are kept in the directory `data`, where there is one."""
        self._daily_bytes = daily_bytes
        self._metrics = metrics
        self._path = data / directory.BUDGET if data is not None and daily_bytes else None
        self._now_s = now_s
        self._day = 0
        """Since 1970."""
        self._hosts: dict[str, _Host] = {}
        self._is_saved = True
        self._has_failed = False
        self._save_due_s = float("-inf")
        self._load()

    def limited(self, batch: Batch, rows: Rows) -> Rows:
        """`rows`, which are all of `batch`, with those that are over a budget marked by `keep`; counts both."""
        if not self._daily_bytes or not len(rows):
            return rows
        groups, is_counted = by_host(batch, rows), _is_counted(batch)
        keep: Mask | None = None
        for start, stop, day in _days(rows.observed_us):
            self._begin(day)
            part = _part(groups, is_counted, start, stop)
            if over := self._count(part):
                keep = np.ones(len(rows), np.bool_) if keep is None else keep
                self._limit(part, over, rows.slice(start, stop), keep[start:stop])
        self._is_saved = False
        return rows if keep is None else replace(rows, keep=keep)

    def save_if_due(self) -> None:
        """Keep today's counts for the next start, at most every SAVE_S."""
        if self._now_s() >= self._save_due_s:
            self.save()

    def save(self) -> None:
        """Keep today's counts for the next start; where that fails it is said once, and tried again."""
        if self._path is None or self._is_saved:
            return
        self._save_due_s = self._now_s() + SAVE_S
        counts = {name: host.bytes for name, host in self._hosts.items()}
        unfinished = self._path.with_name(f"{UNFINISHED}{self._path.name}")
        try:
            unfinished.write_bytes(_Saved(day=_date(self._day), hosts=counts).model_dump_json().encode())
            directory.publish(unfinished, self._path)
        except (OSError, ValueError) as exc:
            if not self._has_failed:
                logger.bind(file=str(self._path), error=str(exc)).warning("daily bytes of hosts not saved")
            self._has_failed = True
        else:
            self._is_saved, self._has_failed = True, False

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            saved = _Saved.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as exc:
            logger.bind(file=str(self._path), error=str(exc)).warning("daily bytes of hosts ignored: they are damaged")
            return
        self._day = saved.day.toordinal() - _EPOCH
        self._hosts = {name: _Host(count) for name, count in saved.hosts.items()}

    def _begin(self, day: int) -> None:
        """Let `day` be today. One day back is no new one: around midnight lines may stand in any order."""
        if self._day - 1 <= day <= self._day:
            return
        for name, host in self._hosts.items():
            if host.dropped:
                self._say(name, host, "a new day begins for a host that was over its daily budget")
        self._day = day
        self._hosts = {}

    def _count(self, part: "_Part") -> list[int]:
        """Count what stays within the budgets; the places, ascending, of the hosts that do not."""
        over = []
        sizes = np.bincount(part.of_row, part.sizes, len(part.names)).tolist()
        for place, (name, size) in enumerate(zip(part.names, sizes, strict=True)):
            if not size:
                continue
            _, host = self._host(name)
            if host.bytes + size <= self._daily_bytes:
                host.bytes += int(size)
            else:
                over.append(place)
        return over

    def _limit(self, part: "_Part", over: Sequence[int], rows: Rows, keep: Mask) -> None:
        """Count the rows of the hosts at the places `over`, and set `keep` to False where they are too many."""
        is_over = np.zeros(len(part.names), np.bool_)
        is_over[over] = True
        concerned = is_over[part.of_row]
        if part.is_counted is not None:
            concerned &= part.is_counted
        order = np.flatnonzero(concerned)
        order = order[np.argsort(part.of_row[order], kind="stable")]
        bounds = np.searchsorted(part.of_row[order], over)[1:]
        is_important = _is_important(rows)
        for place, own in zip(over, np.split(order, bounds), strict=True):
            name, host = self._host(part.names[place])
            keep[own] = kept = self._admitted(host, part.sizes[own], is_important[own], has_end=name != OTHER)
            if number := len(own) - int(np.count_nonzero(kept)):
                now_us = int(rows.observed_us[own[-1]])
                host.dropped += number
                self._metrics.hosts.dropped(part.names[place], number, now_us)
                if host.said_us is None or not 0 <= now_us - host.said_us < SAY_US:
                    host.said_us = now_us
                    self._say(name, host, "host is over its daily budget, lines of it are dropped")

    def _admitted(self, host: _Host, sizes: npt.NDArray[np.int32], is_important: Mask, *, has_end: bool) -> Mask:
        """Which messages of `host`, in order of arrival, are let through: a budget is used up by what is before.

        `has_end`: whether twice the budget is the end of all.
        """
        used = host.bytes + _before(sizes)
        kept = is_important | (used < self._daily_bytes)
        counted = np.where(kept, sizes, 0)
        used = host.bytes + _before(counted)
        end = int(np.searchsorted(used, 2 * self._daily_bytes)) if has_end else len(sizes)
        self._metrics.budget_dropped.labels("info").inc(end - int(np.count_nonzero(kept[:end])))
        self._metrics.budget_dropped.labels("all").inc(len(sizes) - end)
        kept[end:] = False
        host.bytes += int(counted[:end].sum())
        return kept

    def _host(self, name: str) -> tuple[str, _Host]:
        """Who counts for the host `name`: itself, or all that are beyond the bound."""
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) - (OTHER in self._hosts) >= MAX_HOSTS or len(name) > MAX_NAME:
                name = OTHER
            host = self._hosts.setdefault(name, _Host())
        return name, host

    def _say(self, name: str, host: _Host, what: str) -> None:
        logger.bind(host=name, host_daily_bytes=self._daily_bytes, dropped=host.dropped).warning(what)


def waived(rows: Rows) -> list[Mark]:
    """Marks for the numbers of the rows that are not kept, to be committed with those that are.

    A range spans what is kept between them, and nothing that has not come: a host that is limited makes one range
    rather than one for each line that it was not let.
    """
    if rows.keep is None:
        return []
    is_dropped = ~rows.keep & (rows.run >= 0)
    own = np.flatnonzero(np.isin(rows.run, np.unique(rows.run[is_dropped])))
    if not len(own):
        return []
    order = own[np.lexsort((rows.sequence[own], rows.run[own]))]
    run, number = rows.run[order], rows.sequence[order]
    is_break = (run[1:] != run[:-1]) | (number[1:] > number[:-1] + 1)
    begins = np.concatenate(([0], np.flatnonzero(is_break) + 1))
    ends = np.append(begins[1:], len(order)) - 1
    found = np.logical_or.reduceat(is_dropped[order], begins)
    begins, ends = begins[found], ends[found]
    ranges = zip(run[begins].tolist(), number[begins].tolist(), number[ends].tolist(), strict=True)
    return [Mark(rows.runs[which], first, last, MarkKind.WAIVED) for which, first, last in ranges]


class _Saved(BaseModel):
    """What budget.json holds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    day: date
    hosts: dict[str, Annotated[int, Field(ge=0, lt=1 << 62)]] = Field(max_length=MAX_HOSTS + 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """Messages of one day."""

    names: Sequence[str]
    of_row: npt.NDArray[np.intp]
    sizes: npt.NDArray[np.int32]
    """In bytes; 0 for what is not counted."""
    is_counted: Mask | None
    """None when all are."""


def _part(groups: ByHost, is_counted: Mask | None, start: int, stop: int) -> _Part:
    sizes = groups.sizes if is_counted is None else np.where(is_counted, groups.sizes, np.int32(0))
    own = None if is_counted is None else is_counted[start:stop]
    return _Part(groups.names, groups.of_row[start:stop], sizes[start:stop], own)


def _is_counted(batch: Batch) -> Mask | None:
    """Which messages have come by themselves; None for all."""
    is_own = [segment.source.peer != BACKFILL_PEER for segment in batch.segments]
    if all(is_own):
        return None
    return np.repeat(is_own, np.diff([segment.first for segment in batch.segments] + [batch.count]))


def _days(observed_us: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Each run of rows of one day: its first row, the one behind its last, and the day; nearly always one."""
    first, last = int(observed_us.min()) // _DAY_US, int(observed_us.max()) // _DAY_US
    if first == last:
        return [(0, len(observed_us), first)]
    days = observed_us // _DAY_US
    bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    return [(start, stop, int(days[start])) for start, stop in pairwise(bounds)]


def _is_important(rows: Rows) -> Mask:
    """What a host is let beyond its budget."""
    is_important: Mask = rows.table.column("severity").to_numpy() < _INFO
    for name in ("migration", "event"):
        is_important |= rows.table.column(name).is_valid().to_numpy()
    return is_important


def _before(sizes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """For each the sum of those before it."""
    return np.cumsum(sizes, dtype=np.int64) - sizes


def _date(day: int) -> date:
    return date.fromordinal(_EPOCH + day)
