"""The directory of a tenant: objects in memory, and the rules that they keep.

Sources: Microsoft Graph reference, "application resource type" and its "Upsert", "Update", "Delete",
"addPassword" and "removePassword"; "Create servicePrincipal"; "oAuth2PermissionGrant resource type"; "Restore
deleted item (directory object)"; "Add includeApplication (to a user flow)".
"""

import base64
import hashlib
import re
import secrets
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509

from .refusal import Refusal, bad_request, not_found
from .schema import check_body

Json = dict[str, Any]

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
OPENID_SCOPES = ("openid", "profile", "offline_access", "email", "User.Read")
AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount")
LONGEST_NAME, MOST_REDIRECT_URIS = 256, 256
SECRET_YEARS = 2
NOT_ON_PATCH = {"passwordCredentials"}  # "Setting passwordCredential using PATCH is not supported."


class Directory:
    """A tenant's directory. `tenant_type` is AAD, AAD B2C or CIAM; `domain` is its initial domain."""

    def __init__(self, domain: str = "contoso.onmicrosoft.com", tenant_type: str = "AAD"):
        self.tenant_id = str(uuid.uuid4())
        self.domain, self.tenant_type = domain, tenant_type
        self.applications: dict[str, Json] = {}
        self.service_principals: dict[str, Json] = {}
        self.grants: dict[str, Json] = {}
        self.deleted: dict[str, Json] = {}
        self.user_flows: dict[str, Json] = {}
        self.flow_apps: dict[str, list[str]] = {}
        self._secrets: dict[str, str] = {}
        scopes = [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
                "value": name,
                "isEnabled": True,
                "type": "User",
            }
            for name in OPENID_SCOPES
        ]
        self.graph_service = self._add_service(MICROSOFT_GRAPH, "Microsoft Graph", scopes)

    # What stands there from the start, or what somebody does in the portal

    def add_user_flow(self, name: str) -> Json:
        flow = {
            "@odata.type": "#microsoft.graph.externalUsersSelfServiceSignUpEventsFlow",
            "id": str(uuid.uuid4()),
            "displayName": name,
        }
        self.user_flows[flow["id"]], self.flow_apps[flow["id"]] = flow, []
        return flow

    def add_application(self, display_name: str, unique_name: str | None = None, **members: Any) -> Json:
        """A registration that somebody makes by hand. It is not checked."""
        return self._store(display_name, unique_name, members)

    def named(self, display_name: str) -> Json:
        """The application of this name. Raises KeyError."""
        return next(app for app in self.applications.values() if app["displayName"] == display_name)

    def secret(self, key_id: str) -> str:
        return self._secrets[key_id]

    # What Graph does

    def upsert_application(self, unique_name: str, body: Json, *, may_create: bool) -> Json | None:
        """Create an application, or update it. Returns a new one, None for an update."""
        if "displayName" not in body and may_create:
            raise bad_request("Property 'displayName' is required.")
        there = next((app for app in self.applications.values() if app["uniqueName"] == unique_name), None)
        if there:
            self.update_application(there, body)
            return None
        if not may_create:
            raise not_found(unique_name)
        if any(thing.get("uniqueName") == unique_name for thing in self.deleted.values()):
            raise bad_request("Another object with the same value for property uniqueName already exists.")
        self._check_application(body, {})
        return self._store(body["displayName"], unique_name, body)

    def update_application(self, app: Json, body: Json) -> None:
        self._check_application(body, app)
        for name, value in body.items():
            nested = isinstance(value, dict) and isinstance(app.get(name), dict)
            app[name] = {**app[name], **value} if nested else value
        for key in app["keyCredentials"]:
            key.setdefault("keyId", str(uuid.uuid4()))
            key.setdefault("customKeyIdentifier", _thumbprint(key["key"]))
        for service in self.service_principals.values():
            if service["appId"] == app["appId"]:
                service["oauth2PermissionScopes"] = app["api"]["oauth2PermissionScopes"]

    def _store(self, display_name: str, unique_name: str | None, members: Json) -> Json:
        app: Json = {
            "id": str(uuid.uuid4()),
            "appId": str(uuid.uuid4()),
            "uniqueName": unique_name,
            "deletedDateTime": None,
            "displayName": display_name,
            "signInAudience": "AzureADandPersonalMicrosoftAccount",
            "identifierUris": [],
            "tags": [],
            "web": {},
            "api": {},
            "optionalClaims": None,
            "requiredResourceAccess": [],
            "passwordCredentials": [],
            "keyCredentials": [],
        }
        app |= {name: value for name, value in members.items() if name != "displayName"}
        app["web"] = {"redirectUris": [], "logoutUrl": None, "homePageUrl": None} | app["web"]
        app["api"] = {"oauth2PermissionScopes": [], "requestedAccessTokenVersion": None} | app["api"]
        self.applications[app["id"]] = app
        return app

    def _check_application(self, body: Json, there: Json) -> None:
        check_body("Application", body)
        for name in NOT_ON_PATCH & body.keys():
            raise bad_request(f"Property '{name}' cannot be set with PATCH. Use addPassword.")
        if not 0 < len(body.get("displayName", "x")) <= LONGEST_NAME:
            raise bad_request("Invalid value specified for property 'displayName'.")
        if body.get("signInAudience", AUDIENCES[0]) not in AUDIENCES:
            raise bad_request("Invalid value specified for property 'signInAudience'.")
        _check_web(body.get("web") or {})
        self._check_api(body.get("api") or {}, there.get("api") or {})
        audience = body.get("signInAudience") or there.get("signInAudience") or AUDIENCES[2]
        api = {**(there.get("api") or {}), **(body.get("api") or {})}
        concerned = body.keys() & {"signInAudience", "api", "identifierUris"}
        if concerned and audience == AUDIENCES[2] and api.get("requestedAccessTokenVersion") != 2:
            raise bad_request("Property api.requestedAccessTokenVersion is invalid.")
        for uri in body.get("identifierUris", []):
            self._check_identifier_uri(uri, there)
        for key in body.get("keyCredentials", []):
            _check_key(key)

    def _check_api(self, api: Json, there: Json) -> None:
        kept = {scope["id"] for scope in api.get("oauth2PermissionScopes", [])}
        for scope in there.get("oauth2PermissionScopes", []):
            if "oauth2PermissionScopes" in api and scope["id"] not in kept and scope.get("isEnabled"):
                raise bad_request(
                    "Permission (scope or role) cannot be deleted or updated unless disabled first."
                )
        values = [scope.get("value") for scope in api.get("oauth2PermissionScopes", [])]
        if len(set(values)) < len(values):
            raise bad_request("It contains duplicate value. Please provide unique value.")
        for scope in api.get("oauth2PermissionScopes", []):
            _check_guid(scope.get("id"), "api.oauth2PermissionScopes.id")
            if scope.get("type") not in ("User", "Admin"):
                raise bad_request("Invalid value specified for property 'type'.")
            if not scope.get("adminConsentDisplayName") or not scope.get("adminConsentDescription"):
                raise bad_request("Property adminConsentDisplayName or adminConsentDescription is missing.")

    def _check_identifier_uri(self, uri: str, there: Json) -> None:
        others = [app for app in self.applications.values() if app["id"] != there.get("id")]
        if any(uri in app["identifierUris"] for app in others):
            raise bad_request(
                "Another object with the same value for property identifierUris already exists."
            )
        own = [f"https://{self.domain}/"]
        if there:
            own += [f"api://{there['appId']}", f"api://{self.tenant_id}/"]
        if not uri.startswith(tuple(own)):
            raise Refusal(
                400,
                "HostNameNotOnVerifiedDomain",
                "Values of identifierUris property must use a verified domain of the organization or its "
                f"subdomain: '{uri}'",
            )

    def add_password(self, app: Json, credential: Json) -> Json:
        check_body(
            "PasswordCredential", credential, frozenset({"displayName", "startDateTime", "endDateTime"})
        )
        key_id, secret = str(uuid.uuid4()), secrets.token_urlsafe(30)
        now = datetime.now(timezone.utc)
        stored = {
            "keyId": key_id,
            "displayName": credential.get("displayName"),
            "hint": secret[:3],
            "startDateTime": now.isoformat(),
            "endDateTime": credential.get("endDateTime")
            or (now + timedelta(days=365 * SECRET_YEARS)).isoformat(),
            "customKeyIdentifier": None,
            "secretText": None,
        }
        app["passwordCredentials"].append(stored)
        self._secrets[key_id] = secret
        return stored | {"secretText": secret}

    def remove_password(self, app: Json, key_id: str) -> None:
        left = [credential for credential in app["passwordCredentials"] if credential["keyId"] != key_id]
        if len(left) == len(app["passwordCredentials"]):
            raise bad_request("No password credential found with keyId.")
        app["passwordCredentials"] = left

    def delete_application(self, app: Json) -> None:
        """Soft-delete it with its service principal. Their grants and links go with them."""
        self._soft_delete(self.applications.pop(app["id"]))
        for service in [one for one in self.service_principals.values() if one["appId"] == app["appId"]]:
            self._soft_delete(self.service_principals.pop(service["id"]))
            self.grants = {
                name: grant
                for name, grant in self.grants.items()
                if service["id"] not in (grant["clientId"], grant["resourceId"])
            }
        for apps in self.flow_apps.values():
            if app["appId"] in apps:
                apps.remove(app["appId"])

    def _soft_delete(self, thing: Json) -> None:
        thing["deletedDateTime"] = datetime.now(timezone.utc).isoformat()
        self.deleted[thing["id"]] = thing

    def restore(self, object_id: str) -> Json:
        """Restore one object. The service principal of an application is not restored with it."""
        if object_id not in self.deleted:
            raise not_found(object_id)
        thing = self.deleted.pop(object_id)
        thing["deletedDateTime"] = None
        place = self.applications if "passwordCredentials" in thing else self.service_principals
        place[object_id] = thing
        return thing

    def create_service_principal(self, body: Json) -> Json:
        check_body("ServicePrincipal", body)
        app_id = body.get("appId")
        app = next((app for app in self.applications.values() if app["appId"] == app_id), None)
        if not app:
            raise bad_request(
                f"The appId '{app_id}' of the service principal does not reference a valid application."
            )
        things = [*self.service_principals.values(), *self.deleted.values()]
        if any(thing["appId"] == app_id and "passwordCredentials" not in thing for thing in things):
            raise Refusal(
                409,
                "Request_MultipleObjectsWithSameKeyValue",
                f"The service principal cannot be created because the appId {app_id} is already in use.",
            )
        return self._add_service(app["appId"], app["displayName"], app["api"]["oauth2PermissionScopes"])

    def _add_service(self, app_id: str, display_name: str, scopes: list[Json]) -> Json:
        service: Json = {
            "id": str(uuid.uuid4()),
            "appId": app_id,
            "displayName": display_name,
            "deletedDateTime": None,
        }
        service["oauth2PermissionScopes"] = scopes
        self.service_principals[str(service["id"])] = service
        return service

    def create_grant(self, body: Json) -> Json:
        check_body("OAuth2PermissionGrant", body)
        for name in ("clientId", "resourceId", "consentType"):
            if not body.get(name):
                raise bad_request(f"Property '{name}' is required.")
        if body["consentType"] not in ("AllPrincipals", "Principal"):
            raise bad_request("Invalid value specified for property 'consentType'.")
        if (body["consentType"] == "Principal") != bool(body.get("principalId")):
            raise bad_request("principalId belongs to consentType Principal.")
        for name in ("clientId", "resourceId"):
            if body[name] not in self.service_principals:
                raise not_found(body[name])
        keys = ("clientId", "resourceId", "consentType", "principalId")
        if any(all(grant.get(key) == body.get(key) for key in keys) for grant in self.grants.values()):
            raise Refusal(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
        self._check_scope(body["resourceId"], body.get("scope") or "")
        grant = {"id": secrets.token_urlsafe(24), "principalId": None, **body}
        self.grants[grant["id"]] = grant
        return grant

    def update_grant(self, grant: Json, body: Json) -> None:
        check_body("OAuth2PermissionGrant", body, frozenset({"scope"}))
        self._check_scope(grant["resourceId"], body.get("scope") or "")
        grant |= body

    def _check_scope(self, resource_id: str, text: str) -> None:
        known = {scope["value"] for scope in self.service_principals[resource_id]["oauth2PermissionScopes"]}
        unknown = set(text.split()) - known
        if unknown:
            raise bad_request(f"The scope {' '.join(sorted(unknown))} is not a permission of the resource.")

    def link_user_flow(self, flow_id: str, body: Json) -> Json:
        check_body("AuthenticationConditionApplication", body)
        if body.get("@odata.type") != "#microsoft.graph.authenticationConditionApplication":
            raise bad_request("The property '@odata.type' is missing or wrong.")
        app_id = body.get("appId")
        if not any(service["appId"] == app_id for service in self.service_principals.values()):
            raise bad_request(f"The app {app_id} has no service principal in the tenant.")
        if any(app_id in apps for apps in self.flow_apps.values()):
            raise bad_request("The application is linked to a user flow already.")
        self.flow_apps[flow_id].append(str(app_id))
        return {"@odata.type": body["@odata.type"], "appId": app_id}

    def unlink_user_flow(self, flow_id: str, app_id: str) -> None:
        if app_id not in self.flow_apps[flow_id]:
            raise not_found(app_id)
        self.flow_apps[flow_id].remove(app_id)


def _check_web(web: Json) -> None:
    """Source: Microsoft Learn, "Redirect URI (reply URL) restrictions and limitations"."""
    uris = web.get("redirectUris") or []
    if len(set(uris)) < len(uris):
        raise bad_request("The collection redirectUris has duplicates.")
    if len(uris) > MOST_REDIRECT_URIS:
        raise bad_request("Too many redirect URIs.")
    for uri in uris:
        if not re.match(r"https://[^/*]+|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$)", uri):
            raise bad_request(f"Invalid redirect URI '{uri}': use https, or http with localhost.")
    logout_url = web.get("logoutUrl")
    if logout_url and not logout_url.startswith(("https://", "http://localhost")):
        raise bad_request("Invalid logoutUrl.")


def _check_key(key: Json) -> None:
    if (key.get("type"), key.get("usage")) != ("AsymmetricX509Cert", "Verify"):
        raise bad_request("Invalid type or usage of a key credential.")
    try:
        x509.load_der_x509_certificate(base64.b64decode(key.get("key") or "", validate=True))
    except ValueError as error:
        raise Refusal(400, "KeyCredentialsInvalidValue", "Key credential has an invalid value.") from error


def _thumbprint(key: str) -> str:
    return hashlib.sha1(base64.b64decode(key), usedforsecurity=False).hexdigest().upper()


def _check_guid(text: object, name: str) -> None:
    try:
        uuid.UUID(str(text))
    except ValueError as error:
        raise bad_request(f"Cannot convert the value of '{name}' to Guid.") from error
