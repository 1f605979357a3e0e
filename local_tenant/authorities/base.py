"""What all kinds of authority have in common, and what each of them answers for itself."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ..model.accounts import Account
from ..model.configuration import TenantConfiguration
from ..model.grants import Grant, Session
from ..model.origins import Origins
from ..model.redirect_uris import redirect_uri_fault
from ..model.registrations import AppRegistration, UserFlow, UserFlowKind, WebApi
from ..model.signing import KeyRing, SigningKey
from ..model.steering import Clock, Options
from .refusals import ErrorRow, Reason, Refused, ServiceError

OIDC_SCOPES = {"openid", "profile", "offline_access", "email"}
TASKS_SCOPE = "tasks.read"  # by which the API of tasks is known

SIGN_IN_KINDS: tuple[UserFlowKind, ...] = ("sign_up_or_sign_in", "sign_in", "sign_up")


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


class Authority(ABC):
    """One kind of authority: its URLs, metadata, scopes, claims, errors. Knows nothing of HTTP."""

    name: ClassVar[str]
    # URL rules in front of an endpoint's path. Their variables are the arguments of `find_address`.
    URL_PREFIXES: ClassVar[tuple[str, ...]] = ("/<segment>/",)
    RESPONSE_TYPES: ClassVar[tuple[str, ...]]
    # Whether ID tokens of the token endpoint have at_hash.
    HASHES_ACCESS_TOKENS = True
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
    has_consent = False  # users consent to scopes that no administrator has granted
    has_user_flows = False  # by name, each with an authority of its own
    DOMAIN: ClassVar[str]  # of the tenant, if nobody gives it a name
    has_direct_grants = False  # client credentials, and passwords at a user flow of kind "ropc"
    redirect_uris_may_have_query = True

    def __init__(self, configuration: TenantConfiguration, options: Options, clock: Clock):
        self.guid, self.tenant_name = configuration.tenant_id, configuration.name
        self.domain, self.origins = configuration.domain, Origins()
        self.apps, self.apis = configuration.apps, tuple(configuration.apis)
        self.user_flows = list(configuration.user_flows)
        self._options, self._clock = options, clock

    @property
    def host_names(self) -> tuple[str, ...]:
        """The host names of the service itself that this tenant answers to."""
        return ()

    @property
    def tasks_api(self) -> WebApi:
        """The API that the tenant serves itself."""
        return next(api for api in self.apis if TASKS_SCOPE in api.scopes)

    @property
    def app(self) -> AppRegistration:
        """The app that `settings` are for."""
        return self.apps.first

    # --- What a tenant has that is not set up otherwise

    @classmethod
    @abstractmethod
    def default_user_flows(cls) -> list[UserFlow]:
        """The user flows of a tenant where nobody has set up others."""

    @classmethod
    @abstractmethod
    def api_uri(cls, domain: str, name: str, client_id: str) -> str:
        """The URI that scopes of this web API begin with."""

    @classmethod
    def redirect_uri_fault(cls, uri: str, app_type: str) -> str:
        """Why this cannot be registered as a redirect URI for an app of this type. "" if it can."""
        return redirect_uri_fault(uri, app_type, may_have_query=cls.redirect_uris_may_have_query)

    @classmethod
    def more_accounts(cls) -> list[Account]:
        """Accounts besides the first one."""
        return []

    # --- URLs, metadata, settings

    @abstractmethod
    def find_address(
        self, path: str, query: Mapping[str, str], segment: str, policy: str | None
    ) -> Address | None:
        """The address of a request, or None if there is no such authority."""

    @abstractmethod
    def addresses(self) -> list[Address]:
        """The addresses that apps use, as people write them."""

    @property
    def sign_in_address(self) -> Address:
        """The address of the first user flow where people sign in, or else of the first user flow."""
        addresses = self.addresses()
        return next((each for each in addresses if each.user_flow.kind in SIGN_IN_KINDS), addresses[0])

    def authority_url(self, address: Address) -> str:
        """The authority as clients are given it."""
        return address.url(self.origins.back_channel, "").rstrip("/")

    @abstractmethod
    def metadata(self, address: Address) -> dict[str, object]:
        """The discovery document."""

    @abstractmethod
    def key_set(self, keys: KeyRing, address: Address) -> dict[str, list[dict[str, object]]]:
        """The JWK set that the metadata of this address names."""

    @abstractmethod
    def signing_key(self, keys: KeyRing, grant: Grant) -> SigningKey:
        """The key that signs tokens for this grant."""

    @abstractmethod
    def is_issuer_of(self, claims: Mapping[str, object]) -> bool:
        """Whether a token with these claims names the issuer that it should."""

    def is_of_user_flow(self, claims: Mapping[str, object], user_flow: UserFlow) -> bool:
        """Whether a token with these claims comes from this user flow."""
        return True

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The settings by which an app finds this authority and its API."""

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

    @abstractmethod
    def authorized_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        """What this app's authorization request with this `scope` is about. Raises Refused."""

    def default_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        """The scopes that the app was granted of the API whose `.default` scope this is. Raises Refused."""
        raise Refused(Reason.SCOPE_UNKNOWN, scope=scope)

    def check_response_scopes(self, types: frozenset[str], scopes: tuple[str, ...], client_id: str) -> None:
        """Raise Refused if these scopes do not bring what this `response_type` asks for."""

    def fits_hint(self, session: Session, login_hint: str) -> bool:
        """Whether a session can be used for a request with this `login_hint`, "" for none."""
        return True

    def check_account(self, account: Account, address: Address, client_id: str) -> None:
        """Raise Refused unless this account may use the app here."""

    def scopes_to_consent(self, account: Account, scopes: Iterable[str], client_id: str) -> list[str]:
        """The scopes that the person has to consent to first, for this app. Raises Refused."""
        return []

    def contexts_in(self, claims_request: str) -> frozenset[str]:
        """The authentication contexts that a `claims` parameter asks for."""
        return frozenset()

    @abstractmethod
    def redeemed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        """The scopes for a code. `scope` is that of the token request, "" for none. Raises Refused."""

    @abstractmethod
    def refreshed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        """The scopes for a refresh token, likewise."""

    def check_contexts(self, claims_request: str, grant: Grant) -> None:
        """Raise Refused with a claims challenge if the person has to do more for these tokens."""

    @abstractmethod
    def audience(self, scopes: Iterable[str], client_id: str) -> str | None:
        """The client ID of the API that the access token is for. None for no access token."""

    # --- Claims and token responses

    @abstractmethod
    def account_claims(self, account: Account, session: Session, *, new_user: bool) -> dict[str, object]:
        """The claims about a person, as they are at sign-in."""

    def current_claims(self, grant: Grant, account: Account) -> dict[str, object]:
        """The claims about a person at a token request."""
        return grant.claims

    @abstractmethod
    def id_token_claims(self, grant: Grant, scopes: tuple[str, ...]) -> dict[str, object]:
        """The claims of an ID token for the app of the grant."""

    @abstractmethod
    def access_token_claims(self, grant: Grant, scopes: tuple[str, ...], audience: str) -> dict[str, object]:
        """The claims of an access token for the API with the client ID `audience`."""

    @abstractmethod
    def token_response(
        self, grant: Grant, scopes: tuple[str, ...], tokens: Tokens, *, client_info: bool
    ) -> dict[str, object]:
        """The members of a token response in the service's order.

        `client_info`: whether the request asked for it, as MSAL does.
        """

    @abstractmethod
    def client_info(self, grant: Grant) -> str:
        """Who signed in. MSAL keys its accounts by it."""

    # --- Errors

    def error_for(self, refused: Refused) -> ServiceError:
        code, error, text = self.ERRORS[refused.reason]
        filled = text.format(**refused.values) if refused.values else text
        return ServiceError(code, error, f"{code}: {filled}", refused.claims)

    def error_with_code(self, code: str) -> ServiceError | None:
        """The error that a test asks for by its code. None if there is no such error here."""
        rows = [*self.ERRORS.values(), *self.MORE_ERRORS.values()]
        return next((ServiceError(code, row[1], f"{code}: {row[2]}") for row in rows if row[0] == code), None)

    @abstractmethod
    def redirect_parameters(self, error: ServiceError) -> list[tuple[str, str]]:
        """The parameters of an authorization response with this error."""

    @abstractmethod
    def token_error(self, error: ServiceError) -> tuple[dict[str, object], int]:
        """The JSON members and the HTTP status of the token endpoint's answer with this error."""

    @abstractmethod
    def error_lines(self, text: str) -> list[str]:
        """What an error page says."""

    def metadata_error(self, error: ServiceError) -> tuple[dict[str, object], int] | None:
        """The answer to a request for metadata of an unknown authority. None for a page."""
        return None
