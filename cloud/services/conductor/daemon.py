"""nova-conductor as a process."""

from cloud.services.conductor.manager import make_manager
from cloud.services.conductor.options import CONDUCTOR_OPTIONS
from cloud.services.daemon import Daemon, daemon_command

main = daemon_command(Daemon("nova-conductor", make_manager, has_database=True, options={"DEFAULT": CONDUCTOR_OPTIONS}))
