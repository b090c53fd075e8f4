"""nova-consoleauth as a process."""

from cloud.services.daemon import Daemon, daemon_command, idle

main = daemon_command(Daemon("nova-consoleauth", idle))
