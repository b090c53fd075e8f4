"""A small share of `python -m tests.chaos.run`, with a fixed seed: one site, to which one thing after another is done."""

import random

import pytest

from tests.chaos.faults import kill_collector, newest, overwrite_head
from tests.chaos.judge import Verdict
from tests.chaos.site import Plan, Site

pytestmark = pytest.mark.server

KILLS = 8
QUIET_S = 5.0


def test_each_line_is_stored_once_and_in_order_whatever_was_killed_and_torn() -> None:
    chance = random.Random(4)  # noqa: S311 - chance that can be repeated
    with Site(Plan(relp_hosts=2, lines_per_s=150)) as site:
        site.wait_until_steady()
        kill_collector(site, chance, KILLS)
        site.hosts[0].kill_rsyslogd()
        site.hosts[0].start_rsyslogd()
        site.silence()
        wanted = site.sent()
        site.settle(wanted, QUIET_S)
        site.export()
        survived = site.judge(wanted, "relp")
        assert (survived.doubled, survived.out_of_order) == (0, 0)

        for host in site.hosts:
            host.stop_rsyslogd()
        site.collector.stop()
        overwrite_head(newest(site, "logs-*.duckdb"), chance)
        site.collector.start()
        for host in site.hosts:
            host.start_rsyslogd()
        site.wait_for_rows()
        site.export()
        assert site.judge(wanted, "relp").missing == wanted.count  # all of it was in the file that was torn

        assert site.backfill() == []
        site.collector.stop()
        site.export()
        assert wanted.count > 3000
        assert site.judge(wanted, "relp") == Verdict(0, 0, 0, 0)
        assert site.collector.exit_codes == [0, 0]
