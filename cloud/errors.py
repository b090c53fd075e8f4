"""Errors with a meaning beyond one process: the bus hands each on as itself, by the name of its class."""


class CloudError(Exception):
    """The root. A subclass is built from its message alone, so that another process can build it again."""


class ServiceNotFoundError(CloudError):
    """No service of that name has ever reported from that host."""


class DatabaseUnavailableError(CloudError):
    """The database does not answer or refuses; try again later. Nothing was written, unless the message doubts it."""
