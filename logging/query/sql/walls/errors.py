"""Why a wall does not stand."""


class WallError(Exception):
    """The wall cannot be put up here; the message says what the system lacks or forbids."""
