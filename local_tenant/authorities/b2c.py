"""The shape of Azure AD B2C: URLs, issuer, metadata, scopes, claims, token responses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..model.accounts import Account
from ..model.attributes import ATTRIBUTES
from ..model.grants import Grant, Session
from ..model.registrations import UserFlow, UserFlowKind
from ..model.signing import KeyRing, SigningKey, json_segment
from .b2c_errors import ERRORS, error_description
from .base import OIDC_SCOPES, Address, Authority, Tokens
from .refusals import Reason, Refused, ServiceError

# User flows that return everything announce these, and all user flows what follows.
DEFAULT_CLAIMS = ("name", "given_name", "family_name", "city", "emails", "oid", "newUser")
FIXED_CLAIMS = ("sub", "tfp", "iss", "iat", "exp", "aud", "acr", "nonce", "auth_time")


@dataclass(frozen=True)
class UserFlowAddress(Address):
    """B2C takes a /tfp/ before the tenant, and the user flow either as the next segment or as the parameter
    `p`.
    """

    tfp: bool
    in_query: bool

    def url(self, origin: str, path: str) -> str:
        base = f"{origin}/tfp/{self.segment}" if self.tfp else f"{origin}/{self.segment}"
        name = self.user_flow.name.lower()
        return f"{base}/{path}?p={name}" if self.in_query else f"{base}/{name}/{path}"


class AzureADB2C(Authority):
    """Everything in which Azure AD B2C differs from other authorities, for one tenant."""

    name = "Azure AD B2C"
    URL_PREFIXES = (
        "/<segment>/<policy>/",
        "/<segment>/",
        "/tfp/<segment>/<policy>/",
        "/tfp/<segment>/",
    )
    ERRORS = ERRORS
    RESPONSE_TYPES = (
        "code",
        "code id_token",
        "code token",
        "code id_token token",
        "id_token",
        "id_token token",
        "token",
        "token id_token",
    )
    resets_password = "app"
    has_user_flows = True
    refuses_request_without_pkce = True
    has_direct_grants = True
    redirect_uris_may_have_query = False

    DOMAIN = "localtenant.onmicrosoft.com"

    @classmethod
    def default_user_flows(cls) -> list[UserFlow]:
        return [
            UserFlow("B2C_1_signupsignin1", "sign_up_or_sign_in"),
            UserFlow("B2C_1_profileediting1", "edit_profile"),
            UserFlow("B2C_1_passwordreset1", "reset_password"),
            UserFlow("B2C_1_ROPC_Auth", "ropc"),
        ]

    @classmethod
    def api_uri(cls, domain: str, name: str, client_id: str) -> str:
        return f"https://{domain}/{name}"

    # --- URLs and metadata

    @property
    def host_names(self) -> tuple[str, ...]:
        return (f"{self.tenant_name}.b2clogin.com",)

    def find_address(
        self, path: str, query: Mapping[str, str], segment: str, policy: str | None
    ) -> Address | None:
        """The address of a request, or None if there is no such tenant or user flow."""
        name = (policy or query.get("p", "")).lower()
        user_flow = next((flow for flow in self.user_flows if flow.name.lower() == name), None)
        if not user_flow or segment.lower() not in (self.domain, self.guid):
            return None
        return UserFlowAddress(user_flow, segment.lower(), path.startswith("/tfp/"), policy is None)

    def addresses(self) -> list[Address]:
        return [UserFlowAddress(flow, self.domain, tfp=False, in_query=False) for flow in self.user_flows]

    def issuer(self, user_flow: UserFlow) -> str:
        if self._options.issuer_form == "tfp":
            return f"{self.origins.back_channel}/tfp/{self.guid}/{user_flow.name.lower()}/v2.0/"
        return f"{self.origins.back_channel}/{self.guid}/v2.0/"

    def is_issuer_of(self, claims: Mapping[str, object]) -> bool:
        return claims.get("iss") in [self.issuer(user_flow) for user_flow in self.user_flows]

    def is_of_user_flow(self, claims: Mapping[str, object], user_flow: UserFlow) -> bool:
        return str(claims.get(self._options.policy_claim)).lower() == user_flow.name.lower()

    def metadata(self, address: Address) -> dict[str, object]:
        """The discovery document. The UserInfo endpoint is in it where the user flow has one."""
        document, back_channel = self._common_metadata(address), self.origins.back_channel
        if address.user_flow.userinfo:
            document["userinfo_endpoint"] = address.url(back_channel, "openid/v2.0/userinfo")
        return document

    def _common_metadata(self, address: Address) -> dict[str, object]:
        pages, back_channel = self.origins.pages, self.origins.back_channel
        return {
            "issuer": self.issuer(address.user_flow),
            "authorization_endpoint": address.url(pages, "oauth2/v2.0/authorize"),
            "token_endpoint": address.url(back_channel, "oauth2/v2.0/token"),
            "end_session_endpoint": address.url(pages, "oauth2/v2.0/logout"),
            "jwks_uri": address.url(back_channel, "discovery/v2.0/keys"),
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": self.RESPONSE_TYPES,
            "scopes_supported": ["openid"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "claims_supported": self._claims_of(address.user_flow),
        }

    @staticmethod
    def _claims_of(user_flow: UserFlow) -> list[str]:
        returns = DEFAULT_CLAIMS if user_flow.returns is None else user_flow.returns
        return [*returns, *FIXED_CLAIMS]

    def key_set(self, keys: KeyRing, address: Address) -> dict[str, list[dict[str, object]]]:
        return {"keys": [key.jwk() for key in keys.published(self._options.keys)]}

    def signing_key(self, keys: KeyRing, grant: Grant) -> SigningKey:
        return keys.current

    def settings(self) -> dict[str, str]:
        return {
            "B2C_TENANT_NAME": self.tenant_name,
            "B2C_TENANT_ID": self.guid,
            "CLIENT_ID": self.app.client_id,
            "CLIENT_SECRET": self.app.client_secret,
            "SIGNUPSIGNIN_USER_FLOW": self._first("sign_up_or_sign_in"),
            "EDITPROFILE_USER_FLOW": self._first("edit_profile"),
            "RESETPASSWORD_USER_FLOW": self._first("reset_password"),
            "AUTHORITY_TEMPLATE": f"{self.origins.back_channel}/{{tenant}}.onmicrosoft.com/{{user_flow}}",
            "ENDPOINT": f"{self.origins.api}/tasks",
            "SCOPE": f"{self.tasks_api.uri}/tasks.read",
            "WRITE_SCOPE": f"{self.tasks_api.uri}/tasks.write",
        }

    def _first(self, kind: UserFlowKind) -> str:
        """The name of the first user flow of this kind, "" if there is none."""
        return next((flow.name for flow in self.user_flows if flow.kind == kind), "")

    # --- scopes: those of one web API at most, and only what the app was granted

    def authorized_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        """The granted scopes among those asked for, in their order. Raises Refused."""
        wanted = tuple(dict.fromkeys(scope.split()))
        of_apis = [name for name in wanted if name not in OIDC_SCOPES]
        if len({self._api_with(name, client_id) for name in of_apis}) > 1:
            raise Refused(Reason.SCOPES_OF_TWO_APIS, scope=scope)
        granted = [name for name in of_apis if self._is_granted(name, client_id)]
        if of_apis and not granted:
            raise Refused(Reason.SCOPE_NOT_GRANTED)
        return tuple(name for name in wanted if name in OIDC_SCOPES or name in granted)

    def default_scopes(self, scope: str, client_id: str) -> tuple[str, ...]:
        api = next((api for api in self.apis if scope == f"{api.uri}/.default"), None)
        if not api:
            raise Refused(Reason.SCOPE_UNKNOWN, scope=scope)
        scopes = [f"{api.uri}/{name}" for name in sorted(api.scopes)]
        granted = tuple(name for name in scopes if self._is_granted(name, client_id))
        if not granted:
            raise Refused(Reason.SCOPE_NOT_GRANTED)
        return granted

    def check_response_scopes(self, types: frozenset[str], scopes: tuple[str, ...], client_id: str) -> None:
        asked, has_api = " ".join(scopes), self.audience(scopes, client_id) is not None
        if "id_token" in types and "openid" not in scopes:
            raise Refused(Reason.SCOPE_WITHOUT_OPENID)
        if "token" in types and not has_api:
            raise Refused(Reason.SCOPE_WITHOUT_API, scope=asked)
        if "code" in types and not has_api and "openid" not in scopes:
            raise Refused(Reason.SCOPE_WITHOUT_BOTH)

    def redeemed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        return grant.scopes  # B2C does not look at the `scope` of a token request with a code

    def refreshed_scopes(self, scope: str, grant: Grant, account: Account) -> tuple[str, ...]:
        return self.authorized_scopes(scope, grant.client_id) or grant.scopes

    def audience(self, scopes: Iterable[str], client_id: str) -> str | None:
        """The client ID of the API that the scopes belong to. None when they are OpenID Connect's alone."""
        of_apis = [name for name in scopes if name not in OIDC_SCOPES]
        return self._api_with(of_apis[0], client_id) if of_apis else None

    def _api_with(self, scope: str, client_id: str) -> str:
        """The client ID of the API with this scope. The app's own client ID as a scope means the app."""
        if scope == client_id:
            return scope
        for api in self.apis:
            if api.has_scope(scope):
                return api.client_id
        raise Refused(Reason.SCOPE_UNKNOWN, scope=scope)

    def _is_granted(self, scope: str, client_id: str) -> bool:
        app, (uri, _, name) = self.apps.find(client_id), scope.rpartition("/")
        api = next((api for api in self.apis if api.uri == uri), None)
        return scope == client_id or bool(app and api and app.has_permission(api, name))

    # --- claims

    def account_claims(self, account: Account, session: Session, *, new_user: bool) -> dict[str, object]:
        optional = {attribute.claim: getattr(account, attribute.member) for attribute in ATTRIBUTES.values()}
        return {
            "oid": account.sub,
            **{name: value for name, value in optional.items() if value},
            "name": account.display_name or "unknown",
            "emails": [account.email],
            **({"newUser": True} if new_user else {}),
            **account.claims,
        }

    def id_token_claims(self, grant: Grant, scopes: tuple[str, ...]) -> dict[str, object]:
        claims = self._token_claims(grant, grant.client_id, self._options.id_token_lifetime)
        return {**claims, "auth_time": grant.auth_time}

    def access_token_claims(self, grant: Grant, scopes: tuple[str, ...], audience: str) -> dict[str, object]:
        claims = self._token_claims(grant, audience, self._options.access_token_lifetime)
        short_names = [name.rpartition("/")[2] for name in scopes if name not in {*OIDC_SCOPES, audience}]
        if short_names:
            claims["scp"] = " ".join(short_names)
        claims["azp"] = grant.client_id
        return claims

    def _token_claims(self, grant: Grant, audience: str, lifetime: int) -> dict[str, object]:
        now = int(self._clock.now())
        user_flow_claim, user_flow_name = self._options.policy_claim, grant.user_flow.name
        return {
            "exp": now + lifetime,
            "nbf": now,
            "ver": "1.0",
            "iss": self.issuer(grant.user_flow),
            "sub": grant.sub,
            "aud": audience,
            **({"nonce": grant.nonce} if grant.nonce else {}),
            "iat": now,
            **grant.user_flow.returned(grant.claims),
            user_flow_claim: user_flow_name if user_flow_claim == "tfp" else user_flow_name.lower(),
        }

    # --- token responses

    def token_response(
        self, grant: Grant, scopes: tuple[str, ...], tokens: Tokens, *, client_info: bool
    ) -> dict[str, object]:
        # B2C answers requests that ask for client_info with other members than the rest.
        now, options = int(self._clock.now()), self._options
        response: dict[str, object] = {}
        if tokens.access_token:
            response["access_token"] = tokens.access_token
        if tokens.id_token:
            response["id_token"] = tokens.id_token
        response |= {"token_type": "Bearer", "not_before": now}
        if tokens.access_token:
            response["expires_in"] = options.access_token_lifetime
            response["expires_on"] = now + options.access_token_lifetime
            response["resource"] = self.audience(scopes, grant.client_id)
        if client_info:
            response["client_info"] = self.client_info(grant)
            response["scope"] = " ".join(name for name in scopes if name not in OIDC_SCOPES)
        else:
            response["profile_info"] = self._profile_info(grant)
            response["scope"] = " ".join(scopes)
            if tokens.id_token:
                response["id_token_expires_in"] = options.id_token_lifetime
        if tokens.refresh_token:
            response["refresh_token"] = tokens.refresh_token
            response["refresh_token_expires_in"] = tokens.refresh_expires_in
        return response

    def client_info(self, grant: Grant) -> str:
        """One account for each person and user flow."""
        return json_segment({"uid": f"{grant.sub}-{grant.user_flow.name.lower()}", "utid": self.guid})

    def _profile_info(self, grant: Grant) -> str:
        return json_segment(
            {
                "ver": "1.0",
                "tid": self.guid,
                "sub": None,
                "name": grant.claims["name"],
                "preferred_username": None,
                "idp": "LocalAccount",
            }
        )

    # --- errors

    def redirect_parameters(self, error: ServiceError) -> list[tuple[str, str]]:
        return [("error", error.error), ("error_description", self._description(error.text))]

    def token_error(self, error: ServiceError) -> tuple[dict[str, object], int]:
        return {"error": error.error, "error_description": self._description(error.text)}, 400

    def error_lines(self, text: str) -> list[str]:
        return self._description(text).splitlines()

    def _description(self, text: str) -> str:
        return error_description(text, self._clock.now())
