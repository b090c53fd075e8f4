"""Every weigher that nova.conf may choose."""

from collections.abc import Mapping

from cloud.services.scheduler.weighers.disk import DiskWeigher
from cloud.services.scheduler.weighers.num_instances import NumInstancesWeigher
from cloud.services.scheduler.weighers.ram import RamWeigher
from cloud.services.scheduler.weighers.weigher import Weigher

WEIGHERS: Mapping[str, Weigher] = {each.name: each for each in (RamWeigher(), DiskWeigher(), NumInstancesWeigher())}
