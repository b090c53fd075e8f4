"""nova-network as a process."""

from cloud.services.daemon import Daemon, daemon_command
from cloud.services.network.manager import make_manager
from cloud.services.network.options import NETWORK_OPTIONS

DAEMON = Daemon("nova-network", make_manager, options={"DEFAULT": NETWORK_OPTIONS})

main = daemon_command(DAEMON)
