"""Errors that end a command, each with the exit status that the user sees."""

STATUS_INTERNAL = 70
STATUS_CANNOT_RUN = 125
STATUS_NOT_EXECUTABLE = 126
STATUS_NOT_FOUND = 127


class CompatError(Exception):
    """compat could not do its work; the text says what and, where possible, what to do."""

    status = STATUS_CANNOT_RUN

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnsupportedProgramError(CompatError):
    """The file exists but is no program that compat can run."""

    status = STATUS_NOT_EXECUTABLE


class ProgramNotFoundError(CompatError):
    """No file of that name."""

    status = STATUS_NOT_FOUND


class MissingLibraryError(CompatError):
    """A library that the program or one of its libraries needs was not found."""

    status = STATUS_NOT_FOUND


class InternalError(CompatError):
    """A bug in compat, or an installation that lacks its own parts."""

    status = STATUS_INTERNAL
