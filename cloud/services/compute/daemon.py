"""nova-compute as a process."""

from cloud.services.compute.manager import make_manager
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.daemon import Daemon, daemon_command

main = daemon_command(
    Daemon("nova-compute", make_manager, zone_option="default_availability_zone", options=COMPUTE_OPTIONS)
)
