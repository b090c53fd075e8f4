"""nova-scheduler as a process."""

from cloud.services.daemon import Daemon, daemon_command
from cloud.services.scheduler.manager import make_manager
from cloud.services.scheduler.options import SCHEDULER_OPTIONS

main = daemon_command(Daemon("nova-scheduler", make_manager, has_database=True, options={"DEFAULT": SCHEDULER_OPTIONS}))
