"""Why requests are refused, and errors as a service words them."""

from dataclasses import dataclass
from enum import Enum, auto


class Reason(Enum):
    """Why a request is refused. Each kind of authority has its own code and text for it."""

    # The authorization request
    AUTHORITY_UNKNOWN = auto()
    CLIENT_ID_MISSING = auto()
    CLIENT_UNKNOWN = auto()
    ONE_TENANT_APP = auto()
    REDIRECT_URI_MISSING = auto()
    REDIRECT_URI_UNREGISTERED = auto()
    RESPONSE_TYPE_UNSUPPORTED = auto()
    ID_TOKENS_NOT_ALLOWED = auto()
    ACCESS_TOKENS_NOT_ALLOWED = auto()
    RESPONSE_MODE_UNSUPPORTED = auto()
    SCOPE_MISSING = auto()
    SCOPE_WITHOUT_OPENID = auto()
    SCOPE_WITHOUT_API = auto()
    SCOPE_WITHOUT_BOTH = auto()
    SCOPE_UNKNOWN = auto()
    SCOPE_NOT_GRANTED = auto()
    SCOPES_OF_TWO_APIS = auto()
    API_UNKNOWN = auto()
    PROMPT_INVALID = auto()
    MAX_AGE_INVALID = auto()
    CHALLENGE_MALFORMED = auto()
    CHALLENGE_MISSING = auto()
    # The person
    SIGN_IN_NEEDED = auto()
    SESSION_TOO_OLD = auto()
    CANCELLED = auto()
    PASSWORD_FORGOTTEN = auto()
    NOT_IN_TENANT = auto()
    NOT_ASSIGNED = auto()
    CONSENT_NEEDED = auto()
    ADMIN_CONSENT_NEEDED = auto()
    STEP_UP_NEEDED = auto()
    # The token request
    GET_REFUSED = auto()
    PARAMETER_MISSING = auto()
    GRANT_TYPE_UNSUPPORTED = auto()
    PASSWORD_GRANT_NOT_ALLOWED = auto()
    PASSWORD_WRONG = auto()
    SECRET_MISSING = auto()
    SECRET_WRONG = auto()
    SECRET_OF_PUBLIC_CLIENT = auto()
    ORIGIN_MISSING = auto()
    ORIGIN_NOT_ALLOWED = auto()
    GRANT_UNREADABLE = auto()
    GRANT_OF_OTHER_APP = auto()
    GRANT_OF_OTHER_FLOW = auto()
    REDIRECT_URI_CHANGED = auto()  # since the authorization request
    CODE_EXPIRED = auto()
    CODE_USED = auto()
    REFRESH_TOKEN_EXPIRED = auto()
    REFRESH_TOKEN_OF_SPA_EXPIRED = auto()
    GRANT_REVOKED = auto()
    ACCOUNT_GONE = auto()
    ACCOUNT_DISABLED = auto()
    VERIFIER_MALFORMED = auto()
    VERIFIER_WRONG = auto()
    # Sign-out
    RETURN_ADDRESS_MALFORMED = auto()
    HINT_MISSING = auto()
    HINT_INVALID = auto()


class Refused(Exception):
    """A request is refused. `values` go into the text; `claims` is a claims challenge (JSON text)."""

    def __init__(self, reason: Reason, *, claims: str = "", **values: object):
        super().__init__(reason.name)
        self.reason, self.claims, self.values = reason, claims, values


# Code, OAuth error, text. The texts are the service's own, because apps look at them.
ErrorRow = tuple[str, str, str]


@dataclass(frozen=True)
class ServiceError:
    """An error as the service words it. `claims` is a claims challenge (JSON text)."""

    code: str
    error: str
    text: str
    claims: str = ""
