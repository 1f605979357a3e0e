"""What has to be done: a list of requests to Microsoft Graph, made without sending any of them.

A request may need what an earlier one answers, such as the client ID of a new app. It then holds a reference,
such as `{web.appId}`. `registrar` puts the value there.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from signin.authorities import B2C, EXTERNAL_ID

from .directory import FLOW_LINKS, MICROSOFT_GRAPH, TAG, Found, require_free_name, take_deleted
from .errors import UserFlowUnknown, counted, plural
from .graph import Json, literal
from .wanted import MANY_TENANTS, MANY_TENANTS_AND_PERSONAL, ONE_TENANT, Wanted

NARROW_TO_WIDE = (ONE_TENANT, MANY_TENANTS, MANY_TENANTS_AND_PERSONAL)
REFERENCE = re.compile(r"\{(\w+)\.(\w+)\}")
SECRET = "secret"  # noqa: S105 - the name of an answer


@dataclass(frozen=True)
class Step:
    """One request. Later steps refer to its answer by the name `gives`.

    With `may_be_there`, a refusal because the object is there already (HTTP 409) is no failure. With
    `needs_saved`, the settings have to be saved before the request is sent.
    """

    what: str
    method: str
    path: str
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    gives: str = ""
    may_be_there: bool = False
    needs_saved: bool = False

    @property
    def on_new(self) -> bool:
        """Whether the request is about an object that an earlier step makes."""
        return bool(REFERENCE.search(self.path + json.dumps(self.body)))


@dataclass(frozen=True)
class Plan:
    """Steps in order. `facts` are the objects that are there, by the names that steps refer to.

    `remarks` say what the operator has to know or to do by hand.
    """

    steps: tuple[Step, ...]
    facts: dict[str, Json]
    remarks: tuple[str, ...] = ()


def plan_registration(wanted: Wanted, found: Found) -> Plan:
    """The steps from what is found to what is wanted. Raises RegistrationError."""
    require_free_name(found, wanted)
    take_deleted(found, wanted)
    planner = _Planner(wanted, found)
    planner.restore()
    if wanted.api_scopes:
        planner.register_api()
    planner.register_web()
    planner.add_credential()
    planner.grant_consent()
    if wanted.kind == EXTERNAL_ID:
        planner.link_user_flow()
    if wanted.kind == B2C and not wanted.user_flow:
        planner.remark_on_b2c_user_flows()
    return Plan(tuple(planner.steps), planner.facts, tuple(planner.remarks))


def plan_removal(wanted: Wanted, found: Found) -> Plan:
    """The steps that remove what `plan_registration` has made."""
    steps, remarks = [], []
    if found.web and found.linked_flow:
        steps.append(_unlinking(found.linked_flow, found.web["appId"]))
    if found.web:
        steps.append(_deletion(found.web))
        remarks += _credentials_that_stop_working(wanted, found)
        remarks.append(
            f"{wanted.name} can be restored for 30 days (flask register --restore). Until then its name is "
            "reserved."
        )
    if found.api and found.api_clients:
        remarks.append(
            f"{wanted.api_name} stays, because {counted(len(found.api_clients), 'other app')} may call it "
            f"(service principal {', '.join(found.api_clients)})."
        )
    elif found.api:
        steps.append(_deletion(found.api))
    if found.user_flows or wanted.kind == B2C:
        remarks.append("User flows and users stay.")
    return Plan(tuple(steps), {}, tuple(remarks))


def _credentials_that_stop_working(wanted: Wanted, found: Found) -> list[str]:
    """What is lost with the web app's registration, apart from this clone's own secret and certificate."""
    web = found.web or {}
    credentials = {
        "client secrets": web.get("passwordCredentials") or [],
        "certificates": web.get("keyCredentials") or [],
        "federated credentials": found.federated_credentials,
    }
    lost = {
        kind: [
            str(one.get("displayName") or one.get("name") or one.get("keyId"))
            for one in members
            if one.get("displayName") != wanted.secret_name
        ]
        for kind, members in credentials.items()
    }
    return [f"These {kind} stop working too: {', '.join(names)}." for kind, names in lost.items() if names]


def _deletion(app: Json) -> Step:
    what = f"Delete the app registration {app['displayName']} (client ID {app['appId']})"
    return Step(what, "DELETE", f"/applications/{app['id']}")


def _unlinking(flow: Json, client_id: str) -> Step:
    path = f"/identity/authenticationEventsFlows/{flow['id']}/{FLOW_LINKS}/{client_id}"
    return Step(f"Unlink the user flow {flow['displayName']}", "DELETE", path)


class _Planner:
    """Collects the steps."""

    def __init__(self, wanted: Wanted, found: Found):
        self._wanted, self._found = wanted, found
        self.steps: list[Step] = []
        self.remarks: list[str] = []
        there = {
            "graph_service": found.graph_service,
            "web": found.web,
            "web_service": found.web_service,
            "api": found.api,
            "api_service": found.api_service,
        }
        self.facts: dict[str, Json] = {name: members for name, members in there.items() if members}

    def _ref(self, name: str, member: str) -> str:
        """A member of an object: its value, or a reference if the object is not there yet."""
        return str(self.facts[name][member]) if name in self.facts else f"{{{name}.{member}}}"

    def _add(self, what: str, method: str, path: str, body: Json | None = None, **options: Any) -> None:
        self.steps.append(Step(what, method, path, body, **options))

    def restore(self) -> None:
        deleted = {
            "app registration": (self._found.deleted_web, self._found.deleted_api),
            "service principal of": (self._found.deleted_web_service, self._found.deleted_api_service),
        }
        there = {members["id"] for members in self.facts.values()}
        for kind, objects in deleted.items():
            for members in objects:
                if members and members["id"] in there:
                    path = f"/directory/deletedItems/{members['id']}/restore"
                    self._add(f"Restore the {kind} {members['displayName']}", "POST", path)

    def register_api(self) -> None:
        wanted = self._wanted
        scopes = [self._api_scope(scope) for scope in wanted.api_scopes]
        if not self._found.api:
            api = {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": scopes}
            body: Json = {"displayName": wanted.api_name, "signInAudience": wanted.audience}
            body |= {"tags": [TAG], "api": api}
            if wanted.kind == B2C:
                body["identifierUris"] = [wanted.api_identifier_uri("")]
            self._create(f"Create the web API's app registration {wanted.api_name}", body, "api")
        else:
            self._update_api(self._found.api, scopes)
        if wanted.kind != B2C:
            self._set_api_identifier_uri()
        self._create_service("api", wanted.api_name)

    def _update_api(self, api: Json, scopes: list[Json]) -> None:
        present = api.get("api") or {}
        there = present.get("oauth2PermissionScopes") or []
        names = {scope.get("value") for scope in there}
        missing = [scope for scope in scopes if scope["value"] not in names]
        if missing:
            added = ", ".join(scope["value"] for scope in missing)
            body: Json = {"api": {"oauth2PermissionScopes": [*there, *missing]}}
            self._patch("api", f"Add the scopes {added} to {api['displayName']}", body)

    def _set_api_identifier_uri(self) -> None:
        api = self._found.api or {}
        uris = api.get("identifierUris") or []
        wanted_uri = self._wanted.api_identifier_uri(self._ref("api", "appId"))
        if not uris:
            body = {"identifierUris": [wanted_uri]}
            self._patch("api", f"Set the Application ID URI of {self._wanted.api_name}", body)

    def _api_scope(self, scope: str) -> Json:
        return {
            "id": self._wanted.api_scope_id(scope),
            "value": scope,
            "type": "Admin",
            "isEnabled": True,
            "adminConsentDisplayName": scope,
            "adminConsentDescription": f"Lets the app call {self._wanted.api_name} with {scope}.",
        }

    def register_web(self) -> None:
        wanted = self._wanted
        web: Json = {"redirectUris": [wanted.redirect_uri, wanted.sign_out_uri]}
        if wanted.logout_url:
            web["logoutUrl"] = wanted.logout_url
        body: Json = {"web": web, "requiredResourceAccess": self._permissions()}
        if wanted.audience == MANY_TENANTS_AND_PERSONAL:  # which takes no other version
            body["api"] = {"requestedAccessTokenVersion": 2}
        if wanted.kind != B2C:
            body["optionalClaims"] = {"idToken": [{"name": name} for name in self._id_token_claims()]}
        if not self._found.web:
            body = {"displayName": wanted.name, "signInAudience": wanted.audience, "tags": [TAG], **body}
            self._create(f"Create the app registration {wanted.name}", body, "web")
        else:
            self._update_web(self._found.web, body)
        self._create_service("web", wanted.name)

    def _id_token_claims(self) -> list[str]:
        """`login_hint` spares users the account picker at sign-out. Front-channel sign-out needs `sid`."""
        present = (self._found.web or {}).get("web") or {}
        has_front_channel = self._wanted.logout_url or present.get("logoutUrl")
        return ["login_hint", "sid"] if has_front_channel else ["login_hint"]

    def _permissions(self) -> list[Json]:
        ids = {scope["value"]: scope["id"] for scope in self._found.graph_service["oauth2PermissionScopes"]}
        openid = [{"id": ids[scope], "type": "Scope"} for scope in self._wanted.openid_scopes]
        permissions: list[Json] = [{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": openid}]
        if self._wanted.api_scopes:
            there = ((self._found.api or {}).get("api") or {}).get("oauth2PermissionScopes") or []
            api_ids = {scope["value"]: scope["id"] for scope in there}
            access = [
                {"id": api_ids.get(scope, self._wanted.api_scope_id(scope)), "type": "Scope"}
                for scope in self._wanted.api_scopes
            ]
            permissions.append({"resourceAppId": self._ref("api", "appId"), "resourceAccess": access})
        return permissions

    def _update_web(self, there: Json, body: Json) -> None:
        """Add what is missing. Graph replaces whole lists, so what is there is sent along."""
        wanted, name = self._wanted, there["displayName"]
        present = there.get("web") or {}
        uris = present.get("redirectUris") or []
        missing = [uri for uri in body["web"]["redirectUris"] if uri not in uris]
        web: Json = {"redirectUris": [*uris, *missing]} if missing else {}
        may_set_logout_url = wanted.replace_logout_url or not present.get("logoutUrl")
        if wanted.logout_url and may_set_logout_url and present.get("logoutUrl") != wanted.logout_url:
            web["logoutUrl"] = wanted.logout_url
        if web:
            self._patch("web", f"Add {' and '.join(missing) or 'the logout URL'} to {name}", {"web": web})
        if _is_too_narrow(str(there.get("signInAudience")), wanted.audience):
            change: Json = {"signInAudience": wanted.audience}
            if "api" in body:
                change["api"] = body["api"]
            self._patch("web", f"Widen the supported account types of {name} to {wanted.audience}", change)
        permissions = there.get("requiredResourceAccess") or []
        merged = _merged_permissions(permissions, body["requiredResourceAccess"])
        if merged != permissions:
            self._patch("web", f"Add API permissions to {name}", {"requiredResourceAccess": merged})
        claims = there.get("optionalClaims") or {}
        id_token = claims.get("idToken") or []
        names = {claim.get("name") for claim in id_token}
        wanted_claims = body["optionalClaims"]["idToken"] if "optionalClaims" in body else []
        added = [claim for claim in wanted_claims if claim["name"] not in names]
        if added:
            kept = {kind: claims[kind] for kind in ("accessToken", "saml2Token") if claims.get(kind)}
            change = {"optionalClaims": {**kept, "idToken": [*id_token, *added]}}
            what = f"Add the ID token {plural('claim', len(added))} {' and '.join(c['name'] for c in added)}"
            self._patch("web", f"{what} to {name}", change)

    def add_credential(self) -> None:
        if self._wanted.certificate:
            self._add_certificate(self._wanted.certificate.der)
        elif self._wanted.needs_secret:
            self._add_secret()

    def _add_certificate(self, der: bytes) -> None:
        keys = (self._found.web or {}).get("keyCredentials") or []
        encoded = base64.b64encode(der).decode()
        if not any(key.get("key") == encoded for key in keys):
            key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": encoded}
            key["displayName"] = self._wanted.secret_name
            body = {"keyCredentials": [*keys, key]}
            self._patch("web", f"Add the certificate to {self._wanted.name}", body)
        self._remove_earlier_secrets()

    def _add_secret(self) -> None:
        wanted = self._wanted
        there = (self._found.web or {}).get("passwordCredentials") or []
        if any(_is_ours(credential, wanted.secret) for credential in there):
            return
        body: Json = {"passwordCredential": {"displayName": wanted.secret_name}}
        self._add(
            f"Create the client secret “{wanted.secret_name}” and write it to .env",
            "POST",
            f"/applications/{self._ref('web', 'id')}/addPassword",
            body,
            gives=SECRET,
        )
        self._remove_earlier_secrets()

    def _remove_earlier_secrets(self) -> None:
        """Remove those of this clone, which nothing uses any more. No other clone's secret has this name."""
        name = self._wanted.secret_name
        for credential in (self._found.web or {}).get("passwordCredentials") or []:
            if credential.get("displayName") == name:
                path = f"/applications/{self._ref('web', 'id')}/removePassword"
                body = {"keyId": credential["keyId"]}
                what = f"Remove the earlier client secret “{name}”"
                self._add(what, "POST", path, body, needs_saved=True)

    def grant_consent(self) -> None:
        self._grant("Microsoft Graph", self._ref("graph_service", "id"), self._wanted.openid_scopes)
        if self._wanted.api_scopes:
            self._grant(self._wanted.api_name, self._ref("api_service", "id"), self._wanted.api_scopes)

    def _grant(self, resource: str, resource_id: str, scopes: tuple[str, ...]) -> None:
        grant = next(
            (
                grant
                for grant in self._found.grants
                if grant.get("resourceId") == resource_id and grant.get("consentType") == "AllPrincipals"
            ),
            None,
        )
        what = f"Grant admin consent for {' '.join(scopes)} of {resource}"
        if not grant:
            body: Json = {"clientId": self._ref("web_service", "id"), "consentType": "AllPrincipals"}
            body |= {"resourceId": resource_id, "scope": " ".join(scopes)}
            self._add(what, "POST", "/oauth2PermissionGrants", body, may_be_there=True)
            return
        granted = str(grant.get("scope") or "").split()
        missing = [scope for scope in scopes if scope not in granted]
        if missing:
            path = f"/oauth2PermissionGrants/{grant['id']}"
            self._add(what, "PATCH", path, {"scope": " ".join([*granted, *missing])})

    def link_user_flow(self) -> None:
        linked = self._found.linked_flow
        if linked and self._wanted.user_flow in (None, linked["displayName"]):
            choose = " Choose another with --user-flow." if len(self._found.user_flows) > 1 else ""
            self.remarks.append(f"The user flow {linked['displayName']} is linked.{choose}")
            return
        flow = self._chosen_user_flow()
        if flow is None:
            self.remarks.append(
                "The tenant has no user flow yet. Create one in the Microsoft Entra admin center under "
                "Entra ID > External Identities > User flows. Then run flask register again."
            )
            return
        if linked:  # an app has one user flow
            self.steps.append(_unlinking(linked, self._ref("web", "appId")))
        path = f"/identity/authenticationEventsFlows/{flow['id']}/{FLOW_LINKS}"
        body: Json = {"@odata.type": "#microsoft.graph.authenticationConditionApplication"}
        body["appId"] = self._ref("web", "appId")
        self._add(f"Link the user flow {flow['displayName']}", "POST", path, body)

    def _chosen_user_flow(self) -> Json | None:
        names = [str(flow.get("displayName")) for flow in self._found.user_flows]
        chosen = self._wanted.user_flow
        flows = [flow for flow in self._found.user_flows if chosen in (None, flow.get("displayName"))]
        if len(flows) == 1:
            return flows[0]
        if not names and not chosen:
            return None
        problem = f"The tenant has no user flow {chosen}." if chosen else "The tenant has several user flows."
        raise UserFlowUnknown(
            f"{problem} Choose one with --user-flow: {', '.join(names) or 'there is none'}."
        )

    def remark_on_b2c_user_flows(self) -> None:
        self.remarks.append(
            "Microsoft Graph v1.0 cannot create B2C user flows. Create them in the Azure portal under "
            "Azure AD B2C > User flows, and pass their names: --signupsignin-user-flow B2C_1_signupsignin1."
        )

    def _create(self, what: str, body: Json, gives: str) -> None:
        names = {"web": self._wanted.unique_name, "api": self._wanted.api_unique_name}
        path = f"/applications(uniqueName={literal(names[gives])})"
        self._add(what, "PATCH", path, body, headers={"Prefer": "create-if-missing"}, gives=gives)

    def _patch(self, name: str, what: str, body: Json) -> None:
        self._add(what, "PATCH", f"/applications/{self._ref(name, 'id')}", body)

    def _create_service(self, name: str, display_name: str) -> None:
        service = f"{name}_service"
        if service not in self.facts:
            body = {"appId": self._ref(name, "appId")}
            what = f"Create the service principal of {display_name}"
            self._add(what, "POST", "/servicePrincipals", body, gives=service, may_be_there=True)


def _is_too_narrow(audience: str, wanted: str) -> bool:
    if audience not in NARROW_TO_WIDE:
        return True
    return NARROW_TO_WIDE.index(audience) < NARROW_TO_WIDE.index(wanted)


def _merged_permissions(there: list[Json], wanted: Iterable[Json]) -> list[Json]:
    merged = [{**entry, "resourceAccess": list(entry.get("resourceAccess") or [])} for entry in there]
    for entry in wanted:
        same = next((one for one in merged if one["resourceAppId"] == entry["resourceAppId"]), None)
        if same is None:
            merged.append(entry)
            continue
        ids = {access.get("id") for access in same["resourceAccess"]}
        same["resourceAccess"] += [access for access in entry["resourceAccess"] if access["id"] not in ids]
    return merged


def _is_ours(credential: Json, secret: str | None) -> bool:
    """Whether a credential of the directory is this secret. Graph shows the first three characters."""
    if not secret or credential.get("hint") != secret[:3]:
        return False
    end = str(credential.get("endDateTime") or "")
    try:
        ends = datetime.fromisoformat(end.split(".")[0].rstrip("Z")).replace(tzinfo=timezone.utc)
    except ValueError:
        return True
    return ends > datetime.now(timezone.utc)
