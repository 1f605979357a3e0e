"""What can keep a registration from being made. Each message is one line for the operator."""


class RegistrationError(Exception):
    """The registration could not be made. Whatever was made stays, and the next run goes on from there."""


class SignInFailed(RegistrationError):
    """The operator could not be signed in. `error` is the OAuth 2.0 error code, if there is one."""

    def __init__(self, detail: str, *, error: str | None = None):
        super().__init__(detail)
        self.error = error


class EnvFileUnusable(RegistrationError):
    """The `.env` file cannot be read or written."""


class WrongTenant(RegistrationError):
    """The tenant does not exist, or it is of another kind than the authority."""


class PermissionMissing(RegistrationError):
    """The operator may not do this. `scopes` are the permissions that were not granted, if that is known."""

    def __init__(self, detail: str, *, scopes: tuple[str, ...] = ()):
        super().__init__(detail)
        self.scopes = scopes


class NameTaken(RegistrationError):
    """Another app registration has this name. `client_ids` are theirs."""

    def __init__(self, detail: str, *, client_ids: tuple[str, ...]):
        super().__init__(detail)
        self.client_ids = client_ids


class DeletedNamesake(RegistrationError):
    """An app registration of this name was deleted, and its unique name is not free yet."""


class UserFlowUnknown(RegistrationError):
    """The tenant has several user flows, or none of this name."""


class GraphUnavailable(RegistrationError):
    """Microsoft Graph did not answer, or asked to come back later."""


class GraphRefused(RegistrationError):
    """Microsoft Graph refused a request. `code` is its error code, `request_id` what its support asks for."""

    def __init__(self, detail: str, *, status: int, code: str, request_id: str):
        super().__init__(detail)
        self.status, self.code, self.request_id = status, code, request_id


def plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"


def counted(number: int, noun: str) -> str:
    return f"{number} {plural(noun, number)}"
