"""identity as a process."""

from cloud.services.daemon import Daemon, daemon_command
from cloud.services.identity.manager import make_manager
from cloud.services.identity.options import IDENTITY_OPTIONS

main = daemon_command(Daemon("identity", make_manager, has_database=True, options={"identity": IDENTITY_OPTIONS}))
