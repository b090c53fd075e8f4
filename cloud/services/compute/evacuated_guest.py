"""The guest of an instance that has left this host unheard: gone, or kept where its disk may be missed."""

from cloud.domain.whereabouts import Whereabouts
from cloud.logs.emit import logger
from cloud.logs.events import INSTANCE
from cloud.virt.driver import Driver, InstanceMissingError
from cloud.virt.keeping import Keeping
from cloud.virt.moving import ColdMigrating, LiveMigrating

REMOVED = "guest of an instance that has left this host removed"
KEPT = "instance has left this host without its disk, which is kept here: cloud doctor lists it"


def remove_evacuated(driver: Driver, found: Whereabouts) -> None:
    """Of a guest that is off; VirtError, and it may be asked for again, where the hypervisor fails.

    Its disk goes only with an instance that is deleted, or where it is known to be on this host alone and the instance
    was made anew without it. What another host uses stays where it is.
    """
    if not found.is_deleted and isinstance(driver, Keeping) and _may_be_missed(driver, found):
        name = driver.keep(found.uuid)
        if name is not None:
            logger.bind(event=INSTANCE.event("keep"), instance_host=found.host, copy=name).warning(KEPT)
            return
    elif isinstance(driver, LiveMigrating | ColdMigrating):
        # With `keeps_disk` a hypervisor removes what only its host has: whether that is so, it knows.
        driver.clear_departed(found.uuid, keeps_disk=not found.is_deleted)
    elif found.is_deleted:
        driver.destroy(found.uuid)
    else:
        return
    logger.bind(instance_host=found.host, keeps_disk=found.keeps_disk).info(REMOVED)


def _may_be_missed(driver: Keeping, found: Whereabouts) -> bool:
    """Whether the disk has what the instance has not any more, and others may see it: or the records do not fit to it.

    They do not where the instance is said to go on with a disk that only this host has.
    """
    try:
        return driver.has_own_disk(found.uuid) is found.keeps_disk
    except InstanceMissingError:
        return False
