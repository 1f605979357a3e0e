"""What Entra ID and External ID have in common: URLs, tokens, consent, Microsoft Graph.

Sources: Microsoft Learn, "Microsoft identity platform and the OpenID Connect protocol", "ID token claims
reference", "Claims challenges, claims requests, and client capabilities".
"""

import hashlib
import json
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from ..model.accounts import Account
from ..model.configuration import TenantConfiguration
from ..model.grants import Grant, Session
from ..model.registrations import AppRegistration, UserFlow, UserFlowKind, WebApi
from ..model.signing import KeyRing, SigningKey, base64url, json_segment
from ..model.steering import Clock, Options
from .base import OIDC_SCOPES, Address, Authority, Tokens
from .microsoft_errors import ERRORS, MORE_ERRORS, Trace
from .refusals import Reason, Refused, ServiceError

GRAPH_URI = "https://graph.microsoft.com"
GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"
DEFAULT_SCOPE = ".default"  # all scopes of an API that the app was granted
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # of all personal Microsoft accounts
BACKDATED_SECONDS = 300  # by which `iat` and `nbf` lie in the past
# The authentication context that `api_challenge` wants, and the policy that `token_challenge` names.
API_CONTEXT = "c1"
TOKEN_POLICY = "6f2ae1c7-30a1-4a52-9f6b-0a7a8f0e6c11"
# Refusals at an authorization request that do not go back to the app.
SHOWN_ON_PAGE = frozenset(
    {
        Reason.CLIENT_ID_MISSING,
        Reason.CLIENT_UNKNOWN,
        Reason.ONE_TENANT_APP,
        Reason.REDIRECT_URI_MISSING,
        Reason.REDIRECT_URI_UNREGISTERED,
        Reason.NOT_IN_TENANT,
        Reason.NOT_ASSIGNED,
        Reason.ADMIN_CONSENT_NEEDED,
    }
)


class Microsoft(Authority):
    """Common to Entra ID and External ID, for one tenant with the ID `guid`."""

    ERRORS = ERRORS
    MORE_ERRORS = MORE_ERRORS
    SHOWN_ON_PAGE = SHOWN_ON_PAGE
    USER_FLOW: ClassVar[tuple[str, UserFlowKind]]  # name and kind of the only one
    GRAPH_GRANTED: ClassVar[frozenset[str]]
    OPEN_TO_ANY_ORIGIN = frozenset({"discovery", "keys", "token", "userinfo", "graph"})
    RESPONSE_TYPES = ("code", "id_token", "code id_token", "id_token token")
    HASHES_ACCESS_TOKENS = False
    has_account_picker = True
    has_graph = True
    has_consent = True

    def __init__(self, configuration: TenantConfiguration, options: Options, clock: Clock):
        super().__init__(configuration, options, clock)
        self.graph = WebApi(
            GRAPH_URI,
            frozenset({"User.Read", "User.ReadWrite", "Directory.Read.All"}),
            self.GRAPH_GRANTED,
            GRAPH_CLIENT_ID,
            admin_only=frozenset({"Directory.Read.All"}),
        )
        self.apis += (self.graph,)

    @classmethod
    def default_user_flows(cls) -> list[UserFlow]:
        return [UserFlow(*cls.USER_FLOW)]

    @classmethod
    def api_uri(cls, domain: str, name: str, client_id: str) -> str:
        return f"api://{client_id}"

    @abstractmethod
    def issuer(self, tenant: str) -> str:
        """The issuer of tokens for this tenant, or for the template "{tenantid}"."""

    def tenant_of(self, account: Account) -> str:
        return account.tenant.lower() or self.guid

    # --- URLs and metadata

    def find_address(
        self, path: str, query: Mapping[str, str], segment: str, policy: str | None
    ) -> Address | None:
        segment = segment.lower()
        return Address(self.user_flows[0], segment) if self._is_known(segment) else None

    def addresses(self) -> list[Address]:
        return [Address(self.user_flows[0], segment) for segment in self._segments()]

    def _segments(self) -> tuple[str, ...]:
        """The first segments of the paths of its addresses."""
        return (self.guid,)

    def _is_known(self, segment: str) -> bool:
        return segment in (self.guid, self.domain)

    def metadata_issuer(self, segment: str) -> str:
        return self.issuer(self.guid)

    def metadata(self, address: Address) -> dict[str, object]:
        """The discovery document in the service's order, without what belongs to other protocols."""
        pages, back_channel = self.origins.pages, self.origins.back_channel
        return {
            "token_endpoint": address.url(back_channel, "oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": address.url(back_channel, "discovery/v2.0/keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": self.RESPONSE_TYPES,
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": self.metadata_issuer(address.segment),
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{back_channel}/oidc/userinfo",
            "authorization_endpoint": address.url(pages, "oauth2/v2.0/authorize"),
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": address.url(pages, "oauth2/v2.0/logout"),
            "claims_supported": [
                *("sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username"),
                *("name", "tid", "ver", "at_hash", "c_hash", "email"),
            ],
        }

    def key_set(self, keys: KeyRing, address: Address) -> dict[str, list[dict[str, object]]]:
        published = keys.published(self._options.keys)
        return {"keys": [self._jwk(key, self._key_issuer(address)) for key in published]}

    def _key_issuer(self, address: Address) -> str | None:
        """The `issuer` member of the keys. None to leave it out."""
        return self.metadata_issuer(address.segment)

    def _jwk(self, key: SigningKey, issuer: str | None) -> dict[str, object]:
        members = key.jwk()
        jwk = {name: members[name] for name in ("kty", "use", "kid", "n", "e")}
        return {**jwk, "issuer": issuer} if issuer else jwk

    def signing_key(self, keys: KeyRing, grant: Grant) -> SigningKey:
        return keys.current

    def is_issuer_of(self, claims: Mapping[str, object]) -> bool:
        return claims.get("iss") == self.issuer(str(claims.get("tid")))

    def settings(self) -> dict[str, str]:
        return {
            "CLIENT_ID": self.app.client_id,
            "CLIENT_SECRET": self.app.client_secret,
            "ENDPOINT": f"{self.origins.api}/v1.0/me",
            "SCOPE": "User.Read",
            "PROFILE_SCOPE": "User.ReadWrite",
            "GRAPH_URL": f"{self.origins.api}/v1.0",
        }

    # --- requests

    def check_prompts(self, prompt: str) -> list[str]:
        if prompt and prompt not in self.PROMPTS:  # one value only
            raise Refused(Reason.PROMPT_INVALID, value=prompt)
        return prompt.split()

    def check_response_scopes(self, types: frozenset[str], scopes: tuple[str, ...], client_id: str) -> None:
        if "id_token" in types and "openid" not in scopes:
            raise Refused(Reason.SCOPE_WITHOUT_OPENID)

    def fits_hint(self, session: Session, login_hint: str) -> bool:
        claims = self.account_claims(session.account, session, new_user=False)
        names = {session.account.email.lower(), str(claims["preferred_username"]).lower()}
        is_known = login_hint.lower() in names or login_hint == self.login_hint(claims)
        return not login_hint or is_known

    def check_origin(self, app: AppRegistration, origin: str | None) -> None:
        if app.type == "spa" and not origin:
            raise Refused(Reason.ORIGIN_MISSING)
        if app.type != "spa" and origin:
            raise Refused(Reason.ORIGIN_NOT_ALLOWED, origin=origin)

    def check_account(self, account: Account, address: Address, client_id: str) -> None:
        if not self._is_home(self.tenant_of(account), address.segment):
            is_personal = self.tenant_of(account) == PERSONAL_TENANT
            raise Refused(
                Reason.NOT_IN_TENANT,
                email=account.email,
                idp="live.com" if is_personal else self.issuer(self.tenant_of(account)),
                tenant=address.segment,
                client_id=client_id,
            )
        if not account.assigned:
            raise Refused(Reason.NOT_ASSIGNED, client_id=client_id)

    def _is_home(self, tenant: str, segment: str) -> bool:
        """Whether accounts of this tenant can sign in at this address."""
        return tenant == self.guid

    # --- scopes: an authorization request may name several APIs, a token request one

    def authorized_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(scope.split()))
        for name in wanted:
            if name not in OIDC_SCOPES:
                self._api_and_name(name)
        return wanted

    def scopes_to_consent(self, account: Account, scopes: Iterable[str], client_id: str) -> list[str]:
        missing = []
        for scope in scopes:
            if scope not in OIDC_SCOPES and not self._has_consent(account, scope, client_id):
                api, name = self._api_and_name(scope)
                if name in api.admin_only:
                    raise Refused(Reason.ADMIN_CONSENT_NEEDED, scope=scope)
                missing.append(f"{api.uri}/{name}")
        return missing

    def redeemed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        return self._token_scopes(
            scope or " ".join(self._of_first_api(grant.scopes)), grant.client_id, account
        )

    def refreshed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        return self.redeemed_scopes(scope, grant, account)

    def _of_first_api(self, scopes: Iterable[str]) -> list[str]:
        found = list(scopes)
        first = next((self._api_and_name(name)[0] for name in found if name not in OIDC_SCOPES), None)
        return [name for name in found if name in OIDC_SCOPES or self._api_and_name(name)[0] == first]

    def _token_scopes(self, scope: str, client_id: str, account: Account) -> tuple[str, ...]:
        """The scopes of a token: those asked for, and what else the person consented to at the same API."""
        wanted = self.authorized_scopes(scope, client_id)
        of_api = [name for name in wanted if name not in OIDC_SCOPES]
        apis = {self._api_and_name(name)[0] for name in of_api}
        if len(apis) > 1:
            raise Refused(Reason.SCOPES_OF_TWO_APIS, scope=scope)
        oidc = tuple(name for name in wanted if name in OIDC_SCOPES)
        if not of_api:
            return oidc
        [api] = apis
        allowed = {name for name in api.scopes if self._has_consent(account, f"{api.uri}/{name}", client_id)}
        asked = [self._api_and_name(name)[1] for name in of_api]
        if any(name not in (*allowed, DEFAULT_SCOPE) for name in asked) or not allowed:
            raise Refused(Reason.CONSENT_NEEDED, client_id=client_id)
        # Graph's scopes may be given without their URI. The answer writes them as the request did.
        prefix = "" if "/" not in of_api[0] else of_api[0].rpartition("/")[0] + "/"
        names = [name for name in asked if name != DEFAULT_SCOPE]
        return oidc + tuple(prefix + name for name in dict.fromkeys([*names, *sorted(allowed)]))

    def audience(self, scopes: Iterable[str], client_id: str) -> str | None:
        """The client ID of the API that the scopes belong to. Without such scopes, Graph's."""
        of_apis = [name for name in scopes if name not in OIDC_SCOPES]
        return self._api_and_name(of_apis[0])[0].client_id if of_apis else GRAPH_CLIENT_ID

    def _api_and_name(self, scope: str) -> tuple[WebApi, str]:
        uri, _, name = scope.rpartition("/")
        uri = uri.rstrip("/") or GRAPH_URI
        api = next((api for api in self.apis if uri in (api.uri, api.client_id)), None)
        if not api:
            raise Refused(Reason.API_UNKNOWN, name=uri, tenant=self.domain)
        if name not in api.scopes and name != DEFAULT_SCOPE:
            raise Refused(Reason.SCOPE_UNKNOWN, scope=scope)
        return api, name

    def _has_consent(self, account: Account, scope: str, client_id: str) -> bool:
        """Whether the app may have the scope: by an administrator for everyone, or by the account's owner."""
        app, (api, name) = self.apps.find(client_id), self._api_and_name(scope)
        is_granted = name == DEFAULT_SCOPE or bool(app and app.has_permission(api, name))
        return is_granted or f"{api.uri}/{name}" in account.consents

    # --- claims challenges

    def contexts_in(self, claims_request: str) -> frozenset[str]:
        try:
            wanted = json.loads(claims_request)["access_token"]
            contexts = [wanted[name] for name in ("acrs", "capolids") if name in wanted]
            values = [value for member in contexts for value in (member.get("values") or [member["value"]])]
        except (ValueError, LookupError, TypeError, AttributeError):
            return frozenset()
        return frozenset(value for value in values if isinstance(value, str))

    def check_contexts(self, claims_request: str, grant: Grant) -> None:
        needed = self.contexts_in(claims_request) - grant.contexts
        if self._options.token_challenge and TOKEN_POLICY not in grant.contexts:
            challenge: dict[str, object] = {"capolids": {"essential": True, "values": [TOKEN_POLICY]}}
        elif needed:
            challenge = {"acrs": {"essential": True, "values": sorted(needed)}}
        else:
            return
        claims = json.dumps({"access_token": challenge}, separators=(",", ":"))
        raise Refused(Reason.STEP_UP_NEEDED, claims=claims, resource=GRAPH_CLIENT_ID)

    # --- claims

    def account_claims(self, account: Account, session: Session, *, new_user: bool) -> dict[str, object]:
        """What tokens say about a person. `id_token_claims` and `access_token_claims` choose from it."""
        return {
            "name": account.display_name or "unknown",
            "oid": account.sub,
            "preferred_username": self._username(account),
            "sid": session.sid,
            "tid": self.tenant_of(account),
            "email": account.email,
            "roles": list(account.roles),
            "idp": self._identity_provider(account),
        }

    def current_claims(self, grant: Grant, account: Account) -> dict[str, object]:
        session = Session(account, grant.auth_time, 0, str(grant.claims["sid"]))
        return self.account_claims(account, session, new_user=False)

    def _username(self, account: Account) -> str:
        return account.email

    def _identity_provider(self, account: Account) -> str | None:
        return None

    def login_hint(self, claims: Mapping[str, object]) -> str:
        """The optional claim, an opaque text."""
        return base64url(f"O.{claims['oid']}.{claims['tid']}".encode())

    def id_token_claims(self, grant: Grant, scopes: tuple[str, ...]) -> dict[str, object]:
        claims = self._token_claims(grant, grant.client_id, self._options.id_token_lifetime)
        if grant.nonce:
            claims["nonce"] = grant.nonce
        if grant.wants_auth_time:
            claims["auth_time"] = grant.auth_time
        if "email" in scopes:
            claims["email"] = grant.claims["email"]
        if self._has_login_hint():
            claims["login_hint"] = self.login_hint(grant.claims)
        return {**claims, "sid": grant.claims["sid"]}

    def _has_login_hint(self) -> bool:
        return self._options.login_hint

    def access_token_claims(self, grant: Grant, scopes: tuple[str, ...], audience: str) -> dict[str, object]:
        """Those of version 2.0, for every API. Graph's real tokens are of no concern to an app."""
        of_api = [name.rpartition("/")[2] for name in scopes if name not in OIDC_SCOPES]
        return {
            **self._token_claims(grant, audience, self._options.access_token_lifetime),
            "azp": grant.client_id,
            "azpacr": "1",
            "scp": " ".join(of_api or [name for name in scopes if name != "offline_access"]),
            **({"acrs": sorted(grant.contexts)} if grant.contexts else {}),
        }

    def _token_claims(self, grant: Grant, audience: str, lifetime: int) -> dict[str, object]:
        now, person = int(self._clock.now()), grant.claims
        optional = {name: person[name] for name in ("roles", "idp") if person[name]}
        return {
            "aud": audience,
            "iss": self.issuer(str(person["tid"])),
            "iat": now - BACKDATED_SECONDS,
            "nbf": now - BACKDATED_SECONDS,
            "exp": now + lifetime,
            "name": person["name"],
            "oid": person["oid"],
            "preferred_username": person["preferred_username"],
            "rh": f"1.{base64url(uuid.uuid4().bytes)}.",
            **optional,
            "sub": pairwise(str(person["oid"]), audience),
            "tid": person["tid"],
            "uti": base64url(uuid.uuid4().bytes),
            "ver": "2.0",
        }

    # --- token responses

    def token_response(
        self, grant: Grant, scopes: tuple[str, ...], tokens: Tokens, *, client_info: bool
    ) -> dict[str, object]:
        lifetime = self._options.access_token_lifetime
        response: dict[str, object] = {
            "token_type": "Bearer",
            "scope": " ".join(name for name in scopes if name != "offline_access"),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
        }
        issued = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "refresh_token_expires_in": self._is_spa(grant) and tokens.refresh_expires_in,
            "id_token": tokens.id_token,
        }
        response |= {name: value for name, value in issued.items() if value}
        return response | ({"client_info": self.client_info(grant)} if client_info else {})

    def _is_spa(self, grant: Grant) -> bool:
        app = self.apps.find(grant.client_id)
        return app is not None and app.type == "spa"

    def client_info(self, grant: Grant) -> str:
        return json_segment({"uid": grant.claims["oid"], "utid": grant.claims["tid"]})

    # --- errors

    def redirect_parameters(self, error: ServiceError) -> list[tuple[str, str]]:
        trace = Trace(self._clock.now())
        parameters = [("error", error.error), ("error_description", _description(error, trace))]
        if error.code == ERRORS[Reason.CANCELLED][0]:
            parameters.append(("error_subcode", "cancel"))
        return [*parameters, ("error_uri", self._error_uri(error))]

    def token_error(self, error: ServiceError) -> tuple[dict[str, object], int]:
        trace = Trace(self._clock.now())
        oauth_error, more = error.error, dict[str, object]()
        if oauth_error == "consent_required":  # the token endpoint says it in another way
            oauth_error, more = "invalid_grant", {"suberror": "consent_required"}
        if error.claims:
            more = {"suberror": "basic_action", "claims": error.claims}
        members: dict[str, object] = {
            "error": oauth_error,
            "error_description": _description(error, trace),
            "error_codes": [int(error.code.removeprefix("AADSTS"))],
            "timestamp": trace.timestamp,
            "trace_id": trace.trace_id,
            "correlation_id": trace.correlation_id,
            "error_uri": self._error_uri(error),
        }
        return members | more, 401 if oauth_error == "invalid_client" else 400

    def metadata_error(self, error: ServiceError) -> tuple[dict[str, object], int]:
        return self.token_error(error)

    def error_lines(self, text: str) -> list[str]:
        return [text, *Trace(self._clock.now()).lines]

    def _error_uri(self, error: ServiceError) -> str:
        return f"{self.origins.back_channel}/error?code={error.code.removeprefix('AADSTS')}"


def pairwise(object_id: str, audience: str) -> str:
    """The `sub` of a person for one app or API."""
    return base64url(hashlib.sha256(f"{object_id} {audience}".encode()).digest())


def _description(error: ServiceError, trace: Trace) -> str:
    return " ".join([error.text, *trace.lines])
