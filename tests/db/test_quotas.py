"""The table of quotas, alike on SQLite and PostgreSQL."""

import pytest
from oslo_config import cfg

from cloud.db.engine import Database
from cloud.db.quotas import QUOTA_OPTIONS, QuotaLimits, QuotaTable, configured_quotas
from cloud.errors import BadRequestError
from tests.db.conftest import Clock
from tests.db.making import at_once, failures

DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "key_pairs": 100,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "floating_ips": 10,
    "fixed_ips": -1,
    "security_groups": 10,
    "security_group_rules": 20,
}


@pytest.fixture
def quotas(database: Database, clock: Clock) -> QuotaTable:
    return QuotaTable(database, clock)


def test_project_without_limits_of_its_own_has_the_defaults(quotas: QuotaTable) -> None:
    assert quotas.limits("p1") == DEFAULTS
    assert list(quotas.limits("p1")) == list(DEFAULTS)
    assert quotas.defaults == DEFAULTS


def test_own_limits_go_over_those_of_the_configuration(database: Database, clock: Clock) -> None:
    conf = cfg.ConfigOpts()
    conf.register_opts(QUOTA_OPTIONS)
    conf([])
    conf.set_override("quota_instances", 3)
    conf.set_override("quota_ram", -1)
    quotas = QuotaTable(database, clock, configured_quotas(conf))
    assert quotas.limits("p1") == DEFAULTS | {"instances": 3, "ram": -1}
    assert quotas.set("p1", {"instances": 50}) == DEFAULTS | {"instances": 50, "ram": -1}
    assert quotas.limits("p2") == DEFAULTS | {"instances": 3, "ram": -1}
    assert QuotaLimits.of(quotas.limits("p1")) == QuotaLimits(instances=50, cores=20, ram_mb=-1)


def test_options_refuse_what_is_no_limit() -> None:
    conf = cfg.ConfigOpts()
    conf.register_opts(QUOTA_OPTIONS)
    conf([])
    for value in (-2, 2**31):
        with pytest.raises(ValueError, match="Should be"):
            conf.set_override("quota_cores", value)


def test_limits_are_set_one_by_one_and_deleted_together(quotas: QuotaTable) -> None:
    quotas.set("p1", {"instances": 50, "cores": -1})
    quotas.set("p1", {"cores": 0})
    quotas.set("p2", {"cores": 1})
    assert quotas.limits("p1") == DEFAULTS | {"instances": 50, "cores": 0}
    quotas.delete("p1")
    quotas.delete("p1")
    assert quotas.limits("p1") == DEFAULTS
    assert quotas.limits("p2") == DEFAULTS | {"cores": 1}


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"cores": 1, "gigabytes": 1}, "cannot set quota gigabytes: there is no such resource"),
        ({"cores": -2}, "cannot set quota cores to -2: it is from -1 to 2147483647"),
        ({"cores": 2**31}, "cannot set quota cores to 2147483648: it is from -1 to 2147483647"),
    ],
)
def test_what_is_no_limit_is_refused_and_nothing_is_set(
    quotas: QuotaTable, limits: dict[str, int], complaint: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        quotas.set("p1", limits)
    assert str(caught.value) == complaint
    assert quotas.limits("p1") == DEFAULTS


def test_limits_that_are_set_at_once_are_all_kept(quotas: QuotaTable) -> None:
    resources = list(DEFAULTS)
    done = at_once(12, lambda number: quotas.set("p1", {resources[number]: number, resources[-1 - number]: 7}))
    assert failures(done) == []
    assert set(quotas.limits("p1").values()) <= {*range(12)}


def test_project_of_any_text_has_limits(quotas: QuotaTable) -> None:
    assert quotas.limits("x\x00\ud800") == DEFAULTS
    assert quotas.set("x\x00", {"cores": 1})["cores"] == 1
    quotas.delete("x\x00")
    with pytest.raises(BadRequestError):
        quotas.set("p" * 256, {"cores": 1})
