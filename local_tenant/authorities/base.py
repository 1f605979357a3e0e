"""What all kinds of authority have in common, and what each of them answers for itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Literal

from ..model.accounts import Account
from ..model.grants import Grant, Session
from ..model.origins import Origins
from ..model.registrations import AppRegistration, Apps, UserFlow, WebApi
from ..model.signing import KeyRing, SigningKey
from ..model.steering import Clock, Options

OIDC_SCOPES = {"openid", "profile", "offline_access", "email"}


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
    RESPONSE_TYPE_NOT_ALLOWED = auto()
    RESPONSE_MODE_UNSUPPORTED = auto()
    SCOPE_MISSING = auto()
    SCOPE_UNKNOWN = auto()
    SCOPE_NOT_GRANTED = auto()
    SCOPES_OF_TWO_APIS = auto()
    API_UNKNOWN = auto()
    PROMPT_INVALID = auto()
    CHALLENGE_MALFORMED = auto()
    CHALLENGE_MISSING = auto()
    # The person
    SIGN_IN_NEEDED = auto()
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
    SECRET_MISSING = auto()
    SECRET_WRONG = auto()
    SECRET_OF_PUBLIC_CLIENT = auto()
    ORIGIN_MISSING = auto()
    ORIGIN_NOT_ALLOWED = auto()
    GRANT_UNREADABLE = auto()
    GRANT_OF_OTHER_APP = auto()
    GRANT_OF_OTHER_FLOW = auto()
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


@dataclass(frozen=True)
class Address:
    """How a request named its authority. The answer names it in the same way.

    `segment` is the first segment of the path, in lower case: a tenant's domain or ID, or a word such as
    "common".
    """

    user_flow: UserFlow
    segment: str

    def url(self, origin: str, path: str) -> str:
        return f"{origin}/{self.segment}/{path}"


@dataclass(frozen=True)
class Tokens:
    """The tokens of a response, "" for those that are not in it. `refresh_expires_in` is in seconds."""

    access_token: str = ""
    id_token: str = ""
    refresh_token: str = ""
    refresh_expires_in: int = 0


class Authority:
    """One kind of authority: its URLs, metadata, scopes, claims, errors. Knows nothing of HTTP."""

    name: ClassVar[str]
    # URL rules in front of an endpoint's path. Their variables are the arguments of `find_address`.
    URL_PREFIXES: ClassVar[tuple[str, ...]] = ("/<segment>/",)
    PROMPTS: ClassVar[frozenset[str]] = frozenset({"none", "login", "consent", "select_account"})
    ERRORS: ClassVar[Mapping[Reason, ErrorRow]]
    MORE_ERRORS: ClassVar[Mapping[str, ErrorRow]] = {}  # that only tests ask for, by code
    SHOWN_ON_PAGE: ClassVar[frozenset[Reason]] = frozenset()  # refusals that do not go back to the app
    # Views whose answers scripts of any origin may read. The others are for registered single-page apps.
    OPEN_TO_ANY_ORIGIN: ClassVar[frozenset[str]] = frozenset({"discovery", "keys"})
    # A single-page app's authorization request without PKCE is refused, or else only its code.
    refuses_request_without_pkce = False
    may_sign_up = True
    # Where a forgotten password is reset: the app begins that user flow, the sign-in page does it, or nobody.
    resets_password: ClassVar[Literal["app", "page", ""]] = ""
    has_account_picker = False  # at prompt=select_account, and at sign-out without a hint
    has_graph = False
    tasks_api: WebApi

    def __init__(self, guid: str, apps: Apps, options: Options, clock: Clock):
        self.guid, self.origins, self.apps, self.apis = guid, Origins(), apps, tuple[WebApi, ...]()
        self.user_flows = list[UserFlow]()
        self._options, self._clock = options, clock

    @property
    def app(self) -> AppRegistration:
        """The app that `settings` are for."""
        return self.apps.first

    @property
    def host_names(self) -> tuple[str, ...]:
        """The host names of the service itself that this tenant answers to."""
        return ()

    def more_accounts(self) -> list[Account]:
        """Accounts that are there from the start, besides the first one."""
        return []

    # --- URLs, metadata, settings

    def find_address(
        self, path: str, query: Mapping[str, str], segment: str, policy: str | None
    ) -> Address | None:
        """The address of a request, or None if there is no such authority."""
        raise NotImplementedError

    def metadata(self, address: Address) -> dict[str, object]:
        """The discovery document."""
        raise NotImplementedError

    def key_set(self, keys: KeyRing, address: Address) -> dict[str, list[dict[str, object]]]:
        """The JWK set that the metadata of this address names."""
        raise NotImplementedError

    def signing_key(self, keys: KeyRing, grant: Grant) -> SigningKey:
        """The key that signs tokens for this grant."""
        raise NotImplementedError

    def is_issuer_of(self, claims: Mapping[str, object]) -> bool:
        """Whether a token with these claims names the issuer that it should."""
        raise NotImplementedError

    def settings(self) -> dict[str, str]:
        """The settings by which an app finds this authority and its API."""
        raise NotImplementedError

    # --- Requests

    def check_app(self, address: Address, client_id: str) -> None:
        """Raise Refused if the app cannot be used at this address."""

    def check_prompts(self, prompt: str) -> list[str]:
        """The values of `prompt`. Raises Refused."""
        prompts = prompt.split()
        if set(prompts) - self.PROMPTS or ("none" in prompts and len(prompts) > 1):
            raise Refused(Reason.PROMPT_INVALID, value=prompt)
        return prompts

    def check_origin(self, app: AppRegistration, origin: str | None) -> None:
        """Raise Refused if this app's token requests must not come from this origin, None for no browser."""

    def authorized_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        """What this app's authorization request with this `scope` is about. Raises Refused."""
        raise NotImplementedError

    def check_account(self, account: Account, address: Address, client_id: str) -> None:
        """Raise Refused unless this account may use the app here."""

    def scopes_to_consent(self, account: Account, scopes: Iterable[str]) -> list[str]:
        """The scopes that the person has to consent to first. Raises Refused."""
        return []

    def contexts_in(self, claims_request: str) -> frozenset[str]:
        """The authentication contexts that a `claims` parameter asks for."""
        return frozenset()

    def redeemed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        """The scopes for a code. `scope` is that of the token request, "" for none. Raises Refused."""
        raise NotImplementedError

    def refreshed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        """The scopes for a refresh token, likewise."""
        raise NotImplementedError

    def check_contexts(self, claims_request: str, grant: Grant) -> None:
        """Raise Refused with a claims challenge if the person has to do more for these tokens."""

    def audience(self, scopes: Iterable[str], client_id: str) -> str | None:
        """The client ID of the API that the access token is for. None for no access token."""
        raise NotImplementedError

    # --- Claims and token responses

    def account_claims(self, account: Account, session: Session, *, new_user: bool) -> dict[str, object]:
        """The claims about a person, as they are at sign-in."""
        raise NotImplementedError

    def current_claims(self, grant: Grant, account: Account) -> dict[str, object]:
        """The claims about a person at a token request."""
        return grant.claims

    def id_token_claims(
        self, grant: Grant, scopes: tuple[str, ...], access_token: str | None
    ) -> dict[str, object]:
        raise NotImplementedError

    def access_token_claims(self, grant: Grant, scopes: tuple[str, ...], audience: str) -> dict[str, object]:
        raise NotImplementedError

    def token_response(
        self, grant: Grant, scopes: tuple[str, ...], tokens: Tokens, *, client_info: bool
    ) -> dict[str, object]:
        """The members of a token response in the service's order.

        `client_info`: whether the request asked for it, as MSAL does.
        """
        raise NotImplementedError

    def client_info(self, grant: Grant) -> str:
        """Who signed in. MSAL keys its accounts by it."""
        raise NotImplementedError

    # --- Errors

    def error_for(self, refused: Refused) -> ServiceError:
        code, error, text = self.ERRORS[refused.reason]
        filled = text.format(**refused.values) if refused.values else text
        return ServiceError(code, error, f"{code}: {filled}", refused.claims)

    def error_with_code(self, code: str) -> ServiceError | None:
        """The error that a test asks for by its code. None if there is no such error here."""
        rows = [*self.ERRORS.values(), *self.MORE_ERRORS.values()]
        return next((ServiceError(code, row[1], f"{code}: {row[2]}") for row in rows if row[0] == code), None)

    def redirect_parameters(self, error: ServiceError) -> list[tuple[str, str]]:
        """The parameters of an authorization response with this error."""
        raise NotImplementedError

    def token_error(self, error: ServiceError) -> tuple[dict[str, object], int]:
        """The JSON members and the HTTP status of the token endpoint's answer with this error."""
        raise NotImplementedError

    def error_lines(self, text: str) -> list[str]:
        """What an error page says."""
        raise NotImplementedError

    def metadata_error(self, error: ServiceError) -> tuple[dict[str, object], int] | None:
        """The answer to a request for metadata of an unknown authority. None for a page."""
        return None
