"""What a fault tells an instance's owner: its cause, without what is the cloud's own business."""

import re
from collections.abc import Collection

from cloud.rpc.errors import RpcError, is_expected
from cloud.virt.driver import VirtError

_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\",;()]*[^\s'\",;():.]", re.IGNORECASE)
_PATH = re.compile(r"""(?P<quote>['"])/[^'"]+(?P=quote)|(?<![\w./~])(?:~|\.{1,2})?/[^\s'",:;()]+""")
_OTHER_HOST = re.compile(r"\b(on|of|from) host [\w.-]*\w")


def told_to_owner(cause: Exception, hosts: Collection[str], *, otherwise: str) -> str:
    """The cause in its own words, with no path, no URL, and none of the `hosts` by name.

    `otherwise` where those words are not meant for owners: a defect's, and what the bus says of its services.
    """
    if isinstance(cause, RpcError) or not (is_expected(cause) or isinstance(cause, VirtError)):
        return otherwise
    text = _PATH.sub("a file", _URL.sub("a service", str(cause)))
    for host in sorted(hosts, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-])(?:host )?(?<![\w.-]){re.escape(host)}(?:\.[\w-]+)*(?![\w-])", "the host", text)
    return _OTHER_HOST.sub(r"\1 another host", text)
