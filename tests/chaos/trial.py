"""One fault from the steady state to the second judgement."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloud.logs.query.store_admin import open_admin
from tests.chaos.faults import Fault
from tests.chaos.host import Protocol
from tests.chaos.judge import Verdict
from tests.chaos.site import Site

_SET_ASIDE = "was damaged and is set aside"
_AFTERWARDS_S = 2.0  # how long the services still log when everything is in order again


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the lines of the hosts that forward by `protocol`."""

    protocol: Protocol
    sent: int
    before: Verdict
    """As it was when nothing more came by itself."""
    after: Verdict
    """After backfill."""

    @property
    def is_whole(self) -> bool:
        """Whether every line is stored, once and in the order in which rsyslogd has sent it."""
        return not (self.after.missing or self.after.doubled or self.after.unexplained)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault did."""

    fault: Fault
    seconds: float
    recovery_s: float
    """From the end of the fault until nothing more came, and at least as long as the services went on."""
    unwritten: int
    """Lines that were in rsyslogd's socket when it ended, or in it, and not even in the host's own log."""
    accounts: Sequence[Account]
    complaints: Sequence[str] = field(default=())
    """What went wrong beside the lines: an exit code, a backfill that says that something is missing."""

    @property
    def is_good(self) -> bool:
        return not self.complaints and all(account.is_whole for account in self.accounts)


def try_fault(fault: Fault, seed: int) -> Outcome:
    """Build a site, do it, wait, judge, fill, judge again."""
    begin_s = time.monotonic()
    with Site(fault.plan) as site:
        site.wait_until_steady()
        fault.do(site, random.Random(seed))  # noqa: S311 - chance that can be repeated
        healed_s = time.monotonic()
        time.sleep(_AFTERWARDS_S)
        return finish(site, fault, begin_s, healed_s)


def finish(site: Site, fault: Fault, begin_s: float, healed_s: float) -> Outcome:
    """What follows a fault that was done and undone."""
    site.silence()
    protocols: list[Protocol] = ["relp", "tcp"] if site.of("tcp") else ["relp"]
    wanted = {protocol: site.sent(protocol) for protocol in protocols}
    everything = site.sent()
    recovery_s = time.monotonic() - healed_s + site.settle(everything)
    site.export()
    before = {protocol: site.judge(wanted[protocol], protocol) for protocol in protocols}
    complaints = site.backfill()
    site.collector.stop()
    complaints += [f"the collector ended with {code}" for code in site.collector.exit_codes if code]
    with open_admin(site.collector.data, site.collector.url) as admin:
        problems = [each for each in admin.check().problems if not (fault.tears_files and each.endswith(_SET_ASIDE))]
    complaints += [f"store check: {problem}" for problem in problems]
    site.export()
    after = {protocol: site.judge(wanted[protocol], protocol) for protocol in protocols}
    handed_over = sum(host.sender.handed_over for host in site.hosts)
    return Outcome(
        fault,
        time.monotonic() - begin_s,
        recovery_s,
        handed_over - everything.services_lines,
        [Account(each, wanted[each].count, before[each], after[each]) for each in protocols],
        complaints,
    )
