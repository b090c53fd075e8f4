"""nova-compute as a process."""

from cloud.services.compute.manager import make_manager
from cloud.services.daemon import daemon_command

main = daemon_command("nova-compute", make_manager)
