"""Which hypervisor drivers there are, and the one that nova.conf names."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from oslo_config import cfg

from cloud.virt.driver import Driver
from cloud.virt.machine import own_address, read_resources
from cloud.virt.simulated.driver import SimulatedDriver
from cloud.virt.simulated.guest import Settings
from cloud.virt.simulated.host import HostSettings, HostSize
from cloud.virt.simulated.knobs import Knobs, KnobSettings
from cloud.virt.simulated.options import SIMULATED_OPTIONS

DRIVER_OPTIONS: Mapping[str, Sequence[cfg.Opt]] = {"simulated": SIMULATED_OPTIONS}
"""By section, which has the driver's name."""


def configured_driver(conf: cfg.ConfigOpts) -> Driver:
    """The driver that `compute_driver` names; VirtError when it cannot begin."""
    return _MAKERS[conf.compute_driver](conf)


def _simulated(conf: cfg.ConfigOpts) -> Driver:
    state_path, group = Path(conf.state_path), conf.simulated
    directory = state_path / "simulated"
    my_ip = conf.my_ip or own_address()
    knobs = Knobs(
        KnobSettings.from_texts(group.fail, group.delay),
        directory / "knobs.toml",
        wait_s=time.sleep,
        chance=random.SystemRandom().random,
    )
    return SimulatedDriver(
        directory,
        knobs,
        size=HostSize(group.vcpus, group.memory_mb, group.disk_gb, group.cpu_model),
        read_machine=lambda: read_resources(state_path),
        now=lambda: datetime.now(UTC),
        settings=HostSettings(
            shared_disks=None if group.shared_disks_path is None else Path(group.shared_disks_path),
            transfer_mb_per_s=group.transfer_mb_per_s,
            guests=Settings(group.dhcp_server or my_ip, group.vnc_address or my_ip),
        ),
    )


_MAKERS: Mapping[str, Callable[[cfg.ConfigOpts], Driver]] = {"simulated": _simulated}

DRIVERS = tuple(_MAKERS)
