"""The image service as a process."""

from cloud.services.daemon import Daemon, daemon_command
from cloud.services.image.manager import make_manager
from cloud.services.image.options import IMAGE_OPTIONS

main = daemon_command(Daemon("image", make_manager, options={"image": IMAGE_OPTIONS}))
