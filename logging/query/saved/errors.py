"""Why a saved search cannot be read, kept or changed."""

from typing import ClassVar


class SavedSearchError(Exception):
    """Refused, with nothing changed; the status and a word for programs belong to the class."""

    status: ClassVar[int]
    code: ClassVar[str]


class SearchAbsentError(SavedSearchError):
    """There is none of that id, or it is somebody else's own."""

    status = 404
    code = "not_found"


class NameTakenError(SavedSearchError):
    """Its owner has one of that name."""

    status = 409
    code = "name_taken"


class TooManySearchesError(SavedSearchError):
    """Its owner, or all together, have as many as are kept."""

    status = 409
    code = "too_many"


class ChangedMeanwhileError(SavedSearchError):
    """It is not what it was when whoever changes it has read it."""

    status = 412
    code = "changed"


class VersionRequiredError(SavedSearchError):
    """A change that does not say of which version."""

    status = 428
    code = "version_required"


class SearchFileError(SavedSearchError):
    """The file cannot be read or written."""

    status = 503
    code = "store"
