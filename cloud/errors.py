"""Errors with a meaning beyond one process: the bus hands each on as itself, by the name of its class.

`status` is what HTTP answers with (RFC 9110 section 15); the message goes along wherever it is below 500.
"""

from typing import ClassVar


class CloudError(Exception):
    """The root. A subclass is built from its message alone, so that another process can build it again."""

    status: ClassVar[int] = 500


class DatabaseUnavailableError(CloudError):
    """The database does not answer or refuses; try again later. Nothing was written, unless the message doubts it."""

    status = 503


class BadRequestError(CloudError):
    """What was asked for makes no sense, whatever the state of the cloud."""

    status = 400


class UnauthorizedError(CloudError):
    """Nobody knows who asks: no token, or one that is not, or no longer, good; or a wrong password."""

    status = 401


class ForbiddenError(CloudError):
    """It is known who asks, and that is not allowed."""

    status = 403


class NotFoundError(CloudError):
    """There is no such thing, or none that the caller may see."""

    status = 404


class ServiceNotFoundError(NotFoundError):
    """No service of that name has ever reported from that host."""


class InstanceNotFoundError(NotFoundError):
    """No such instance, or one that is deleted."""


class FlavorNotFoundError(NotFoundError):
    """No such flavor."""


class ImageNotFoundError(NotFoundError):
    """No such image, or none that the caller may use."""


class HostNotFoundError(NotFoundError):
    """No compute host of that name has ever reported its resources."""


class MigrationNotFoundError(NotFoundError):
    """No such migration, or none of that instance."""


class NotAcceptableError(CloudError):
    """A version of the API that is not served."""

    status = 406


class RequestTimeoutError(CloudError):
    """A request that does not come to its end."""

    status = 408


class ConflictError(CloudError):
    """It cannot be done in the state that the thing is in."""

    status = 409


class InstanceStateError(ConflictError):
    """An instance is not in the state that was expected of it; nothing was changed."""


class MigrationStateError(ConflictError):
    """A migration is not in the state that was expected of it; nothing was changed."""


class TooLargeError(CloudError):
    """A request of more bytes than are read."""

    status = 413


class QuotaError(CloudError):
    """More than the project may have. 413 is what 2014's API answers; newer versions of it say 403."""

    status = 413


class TooManyRequestsError(CloudError):
    """Asked too often; again later."""

    status = 429


class NoValidHostError(CloudError):
    """No host has passed all filters, or had room when it was claimed; the message says how many each filter left."""


class NoRoomError(CloudError):
    """A host has less left than is claimed of it; nothing was claimed."""


class ComputeError(CloudError):
    """A compute host could not do what was asked of it; another one may."""


class ImageUnavailableError(CloudError):
    """The image service does not answer; try again later."""

    status = 503


class IdentityUnavailableError(CloudError):
    """The identity service does not answer; try again later."""

    status = 503
