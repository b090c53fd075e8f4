"""nova-api as a process."""

from cloud.services.api.manager import make_manager
from cloud.services.api.options import API_OPTIONS
from cloud.services.daemon import Daemon, daemon_command

main = daemon_command(Daemon("nova-api", make_manager, has_database=True, options=API_OPTIONS))
