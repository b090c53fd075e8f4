"""Two hosts, and an instance that goes from the one to the other."""

from cloud.domain.fixed_ip import FixedIp
from cloud.domain.instance import Instance, PowerState
from cloud.virt.moving import Transfer, TransferPhase
from tests.virt.hypervisors import Lab, MovingDriver
from tests.virt.instances import UUID, instance
from tests.waiting import wait_until

FIXED_IP = FixedIp("10.0.0.2", "fa:16:3e:00:00:02", "private")


class Pair:
    """`source` has the instance, if it was spawned."""

    def __init__(self, lab: Lab, *, has_shared_disks: bool) -> None:
        self.lab = lab
        self.has_shared_disks = has_shared_disks
        self.make_source = lab.host("compute-01", has_shared_disks=has_shared_disks)
        self.make_destination = lab.host("compute-02", has_shared_disks=has_shared_disks)
        self.source, self.destination = self.make_source(), self.make_destination()

    @property
    def block(self) -> bool:
        """Whether its disk has to go with it."""
        return not self.has_shared_disks

    def restart(self) -> None:
        self.source, self.destination = self.make_source(), self.make_destination()

    def spawn(self, wanted: Instance | None = None, *, is_running: bool = True) -> None:
        self.source.spawn(wanted or instance(), None, [FIXED_IP], lambda _percent: None)
        if not is_running:
            self.source.power_off(UUID)

    def prepare_and_start(self, *, is_live: bool = True) -> None:
        prepared = self.destination.prepare_arrival(instance(), [FIXED_IP], block=self.block)
        self.source.start_transfer(UUID, prepared, block=self.block, is_live=is_live)

    def end_of_transfer(self) -> Transfer:
        return end_of_transfer(self.source)

    def migrate_live(self) -> None:
        self.prepare_and_start()
        assert self.end_of_transfer().phase is TransferPhase.COMPLETED
        self.destination.complete_arrival(instance(), [FIXED_IP])
        self.source.clear_departed(UUID, keeps_disk=self.has_shared_disks)

    def send(self, wanted: Instance | None = None) -> None:
        """The disk of the instance, which is off, and set it aside."""
        prepared = self.destination.prepare_disk(wanted or instance())
        self.source.send_disk(UUID, prepared, lambda _percent: None)
        self.source.set_aside(UUID)

    def states(self) -> tuple[PowerState | None, PowerState | None]:
        """At the source and at the destination; None where it is not."""
        return self.source.instances().get(UUID), self.destination.instances().get(UUID)


def end_of_transfer(source: MovingDriver, uuid: str = UUID) -> Transfer:
    wait_until(lambda: source.transfer(uuid).phase is not TransferPhase.RUNNING, what="the end of the transfer")
    return source.transfer(uuid)
