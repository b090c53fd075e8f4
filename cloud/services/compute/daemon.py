"""nova-compute as a process."""

from cloud.services.compute.manager import make_manager
from cloud.services.compute.options import COMPUTE_OPTIONS
from cloud.services.daemon import Daemon, daemon_command

DAEMON = Daemon("nova-compute", make_manager, zone_option="default_availability_zone", options=COMPUTE_OPTIONS)

main = daemon_command(DAEMON)
