"""What every driver keeps to that can make an instance anew of its disk: after its host has failed, with another one's
settings, or by hand.
"""

import pytest

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import PowerState
from cloud.virt.driver import InstanceMissingError, VirtError
from tests.virt.hypervisors import MovingDriver
from tests.virt.instances import OTHER, SMALL, UUID, instance
from tests.virt.pair import FIXED_IP, Pair

RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN
SETTINGS = {"dhcp_server": "10.0.0.1", "vnc_address": "10.77.0.2"}


def test_a_definition_says_what_an_instance_is_made_of(driver: MovingDriver) -> None:
    driver.spawn(instance(), None, [FIXED_IP], lambda _percent: None)
    made = driver.definition(UUID)
    said = {name: made[name] for name in ("uuid", "name", "memory_mb", "vcpus", "disk_gb")}
    assert said == {"uuid": UUID, "name": "web", "memory_mb": 512, "vcpus": 1, "disk_gb": 1}
    assert made["interfaces"] == [{"address": "10.0.0.2", "mac": "fa:16:3e:00:00:02", "network": "private"}]
    assert {"dhcp_server", "vnc_address", "disk"} <= made.keys()
    with pytest.raises(InstanceMissingError, match=OTHER):
        driver.definition(OTHER)


def test_an_instance_whose_host_has_failed_is_made_anew_with_the_settings_of_the_other(shared_pair: Pair) -> None:
    shared_pair.spawn()
    for _ in range(2):
        shared_pair.destination.define_again(instance(), [FIXED_IP], SETTINGS)
        assert shared_pair.destination.power_state(UUID) is SHUTDOWN
    shared_pair.destination.reboot(UUID, hard=True)
    assert shared_pair.destination.power_state(UUID) is RUNNING
    made = shared_pair.destination.definition(UUID)
    assert {name: made[name] for name in SETTINGS} == SETTINGS
    assert made["disk"] == shared_pair.source.definition(UUID)["disk"]
    assert shared_pair.make_destination().definition(UUID) == made


def test_settings_that_are_not_given_are_those_of_the_host(shared_pair: Pair) -> None:
    shared_pair.spawn()
    of_source = shared_pair.source.definition(UUID)
    shared_pair.destination.define_again(instance(), [FIXED_IP], {})
    of_destination = shared_pair.destination.definition(UUID)
    assert of_destination["dhcp_server"] != of_source["dhcp_server"]
    assert of_destination["vnc_address"] != of_source["vnc_address"]


def test_one_that_is_here_gets_flavor_addresses_and_settings_and_runs_on(pair: Pair) -> None:
    pair.spawn()
    other = FixedIp("10.0.0.9", "fa:16:3e:00:00:09", "private")
    pair.source.define_again(instance(flavor=SMALL), [other], SETTINGS)
    made = pair.source.definition(UUID)
    assert (made["memory_mb"], made["interfaces"], made["vnc_address"]) == (2048, [other.as_dict()], "10.77.0.2")
    assert pair.states() == (RUNNING, None)


def test_without_a_disk_on_shared_storage_nothing_is_made(pair: Pair) -> None:
    with pytest.raises(VirtError, match=f"^cannot define instance {UUID}: "):
        pair.destination.define_again(instance(), [FIXED_IP], {})
    assert pair.states() == (None, None)


def test_a_setting_that_there_is_not_is_refused(shared_pair: Pair) -> None:
    shared_pair.spawn()
    with pytest.raises(VirtError, match="cannot define"):
        shared_pair.destination.define_again(instance(), [FIXED_IP], {"dns_server": "10.0.0.1"})
    assert shared_pair.states() == (RUNNING, None)


def test_a_host_that_was_given_up_cannot_start_what_another_one_has_nor_remove_its_disk(shared_pair: Pair) -> None:
    shared_pair.spawn(is_running=False)
    shared_pair.destination.adopt(instance(), [FIXED_IP], is_running=True)  # by an evacuation
    for source in (shared_pair.source, shared_pair.make_source()):
        with pytest.raises(VirtError, match=f"^cannot power on instance {UUID}: "):
            source.power_on(UUID)
        with pytest.raises(VirtError, match=f"^cannot reboot instance {UUID}: "):
            source.reboot(UUID, hard=False)
        assert source.power_state(UUID) is SHUTDOWN
    shared_pair.source.clear_departed(UUID, keeps_disk=True)
    shared_pair.source.destroy(UUID)
    shared_pair.restart()
    assert shared_pair.states() == (None, RUNNING)
    shared_pair.destination.reboot(UUID, hard=True)


def test_a_hard_reboot_takes_the_disk_back_to_where_an_operator_wants_it(shared_pair: Pair) -> None:
    shared_pair.spawn(is_running=False)
    shared_pair.destination.define_again(instance(), [FIXED_IP], SETTINGS)
    shared_pair.source.reboot(UUID, hard=True)
    assert shared_pair.states() == (RUNNING, SHUTDOWN)
    with pytest.raises(VirtError, match="cannot power on"):
        shared_pair.destination.power_on(UUID)


def test_without_shared_storage_nothing_is_spawned_over_anothers_disk(shared_pair: Pair) -> None:
    shared_pair.spawn()
    with pytest.raises(VirtError, match=f"^cannot spawn instance {UUID}: "):
        shared_pair.destination.spawn(instance(), None, [FIXED_IP], lambda _percent: None)
    assert shared_pair.states() == (RUNNING, None)
    shared_pair.source.reboot(UUID, hard=True)
