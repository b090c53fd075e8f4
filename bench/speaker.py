"""A service that logs numbered lines at a steady rate: the load of the other programs here.

python bench/speaker.py LOGGING_CONF REQUEST_ID LINES LINES_PER_S
"""

import sys
import time

from cloud.logs.emit import logger, request_context
from cloud.logs.emit.settings import LogSettings
from cloud.logs.emit.setup import set_up_logging


def main() -> None:
    logging_conf, request_id, lines, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    set_up_logging(LogSettings(log_config=logging_conf), service="speaker", host="-")
    started_s = time.monotonic()
    with request_context(request_id=request_id):
        for number in range(lines):
            time.sleep(max(0.0, started_s + number / rate - time.monotonic()))
            logger.bind(number=number).info("numbered line")


main()
