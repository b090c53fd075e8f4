"""nova-api as a process."""

from cloud.services.daemon import Daemon, daemon_command, idle

main = daemon_command(Daemon("nova-api", idle, has_database=True))
