"""Microsoft Graph's part of the stand-in: which request needs which permission, and what it does."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .directory import Directory, Json
from .refusal import Refusal, bad_request, forbidden, not_found
from .schema import check_select

APPLICATIONS_READ = ("Application.Read.All", "Application.ReadWrite.All")
APPLICATIONS = ("Application.ReadWrite.All",)
GRANTS = ("DelegatedPermissionGrant.ReadWrite.All",)
FLOWS_READ = ("EventListener.Read.All", "EventListener.ReadWrite.All")
FLOWS = ("EventListener.ReadWrite.All",)
ORGANIZATION = ("Organization.Read.All", "Organization.ReadWrite.All")

KEY = r"\((?P<key>\w+)='(?P<value>(?:[^']|'')*)'\)|/(?P<id>[0-9a-f-]{36})"
FLOW = (
    r"/identity/authenticationEventsFlows/(?P<flow>[0-9a-f-]{36})/conditions/applications/includeApplications"
)
FILTER = re.compile(r"(\w+) eq '((?:[^']|'')*)'")


@dataclass(frozen=True)
class Request:
    """A request to Graph: the path below /v1.0, decoded."""

    method: str
    path: str
    options: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    scopes: frozenset[str]

    def is_to(self, method: str, pattern: str) -> re.Match[str] | None:
        return re.fullmatch(pattern, self.path) if self.method == method else None


Answer = tuple[int, Json | None]
Operation = Callable[[Request, re.Match[str]], Answer]


class GraphApi:
    """Answers requests from a directory. `page_size` is the number of objects on a page."""

    def __init__(self, directory: Directory):
        self.directory = directory
        self.page_size = 100
        self.may_grant = True  # whether the operator has a role that may consent for all users
        self._operations: list[tuple[str, str, tuple[str, ...], Operation]] = [
            ("GET", "/organization", ORGANIZATION, self._organization),
            ("GET", "/applications", APPLICATIONS_READ, self._list_applications),
            ("GET", f"/applications(?:{KEY})", APPLICATIONS_READ, self._get_application),
            ("PATCH", f"/applications(?:{KEY})", APPLICATIONS, self._patch_application),
            ("DELETE", f"/applications(?:{KEY})", APPLICATIONS, self._delete_application),
            ("POST", f"/applications(?:{KEY})/addPassword", APPLICATIONS, self._add_password),
            ("POST", f"/applications(?:{KEY})/removePassword", APPLICATIONS, self._remove_password),
            (
                "GET",
                f"/applications(?:{KEY})/federatedIdentityCredentials",
                APPLICATIONS_READ,
                self._list_federated_credentials,
            ),
            ("GET", f"/servicePrincipals(?:{KEY})", APPLICATIONS_READ, self._get_service),
            ("POST", "/servicePrincipals", APPLICATIONS, self._create_service),
            ("GET", "/oauth2PermissionGrants", GRANTS, self._list_grants),
            ("POST", "/oauth2PermissionGrants", GRANTS, self._create_grant),
            ("PATCH", r"/oauth2PermissionGrants/(?P<grant>[\w-]+)", GRANTS, self._update_grant),
            (
                "GET",
                r"/directory/deletedItems/microsoft\.graph\.(?P<kind>application|servicePrincipal)",
                APPLICATIONS_READ,
                self._list_deleted,
            ),
            ("POST", r"/directory/deletedItems/(?P<id>[0-9a-f-]{36})/restore", APPLICATIONS, self._restore),
            ("GET", "/identity/authenticationEventsFlows", FLOWS_READ, self._list_flows),
            ("GET", FLOW, FLOWS_READ, self._list_flow_apps),
            ("POST", FLOW, FLOWS, self._link_flow),
            ("DELETE", FLOW + r"/(?P<app>[0-9a-f-]{36})", FLOWS, self._unlink_flow),
        ]

    def answer(self, request: Request) -> Answer:
        """Carry a request out. Raises Refusal."""
        for method, pattern, scopes, operation in self._operations:
            match = request.is_to(method, pattern)
            if match:
                if not request.scopes & set(scopes):
                    raise forbidden()
                _check_content(request)
                return operation(request, match)
        raise bad_request(f"Resource not found for the segment '{request.path.strip('/').split('/')[0]}'.")

    def _organization(self, request: Request, _: re.Match[str]) -> Answer:
        tenant = self.directory
        organization = {"id": tenant.tenant_id, "displayName": tenant.domain.split(".")[0].title()}
        return 200, {"value": [organization | {"tenantType": tenant.tenant_type}]}

    def _list_applications(self, request: Request, _: re.Match[str]) -> Answer:
        check_select("Application", request.options.get("$select"))
        found = self._filtered(self.directory.applications.values(), request, ("displayName", "appId"))
        # Keys are "returned only on $select for a single object".
        return self._page([_without_keys(app) for app in found], request)

    def _get_application(self, request: Request, match: re.Match[str]) -> Answer:
        check_select("Application", request.options.get("$select"))
        return 200, _selected(self._application(match), request)

    def _application(self, match: re.Match[str]) -> Json:
        return _find(self.directory.applications, match, ("appId", "uniqueName"))

    def _patch_application(self, request: Request, match: re.Match[str]) -> Answer:
        if match["key"] == "uniqueName":
            unique_name = match["value"].replace("''", "'")
            may_create = request.headers.get("Prefer") == "create-if-missing"
            app = self.directory.upsert_application(unique_name, request.body, may_create=may_create)
            return (201, app) if app else (204, None)
        self.directory.update_application(self._application(match), request.body)
        return 204, None

    def _delete_application(self, request: Request, match: re.Match[str]) -> Answer:
        self.directory.delete_application(self._application(match))
        return 204, None

    def _add_password(self, request: Request, match: re.Match[str]) -> Answer:
        if not set(request.body) <= {"passwordCredential"}:
            raise bad_request("The only parameter of addPassword is passwordCredential.")
        credential = request.body.get("passwordCredential") or {}
        return 200, self.directory.add_password(self._application(match), credential)

    def _remove_password(self, request: Request, match: re.Match[str]) -> Answer:
        if set(request.body) != {"keyId"}:
            raise bad_request("The only parameter of removePassword is keyId.")
        self.directory.remove_password(self._application(match), request.body["keyId"])
        return 204, None

    def _list_federated_credentials(self, request: Request, match: re.Match[str]) -> Answer:
        return self._page(self._application(match).get("federatedIdentityCredentials") or [], request)

    def _get_service(self, request: Request, match: re.Match[str]) -> Answer:
        check_select("ServicePrincipal", request.options.get("$select"))
        return 200, _selected(_find(self.directory.service_principals, match, ("appId",)), request)

    def _create_service(self, request: Request, _: re.Match[str]) -> Answer:
        return 201, self.directory.create_service_principal(request.body)

    def _list_grants(self, request: Request, _: re.Match[str]) -> Answer:
        allowed = ("clientId", "resourceId", "principalId", "consentType")
        return self._page(self._filtered(self.directory.grants.values(), request, allowed), request)

    def _create_grant(self, request: Request, _: re.Match[str]) -> Answer:
        if not self.may_grant:
            raise forbidden()
        return 201, self.directory.create_grant(request.body)

    def _update_grant(self, request: Request, match: re.Match[str]) -> Answer:
        if match["grant"] not in self.directory.grants:
            raise not_found(match["grant"])
        if not self.may_grant:
            raise forbidden()
        self.directory.update_grant(self.directory.grants[match["grant"]], request.body)
        return 204, None

    def _list_deleted(self, request: Request, match: re.Match[str]) -> Answer:
        is_app = match["kind"] == "application"
        kind = [
            thing for thing in self.directory.deleted.values() if ("passwordCredentials" in thing) is is_app
        ]
        return self._page(self._filtered(kind, request, ("displayName", "appId")), request)

    def _restore(self, request: Request, match: re.Match[str]) -> Answer:
        return 200, self.directory.restore(match["id"])

    def _list_flows(self, request: Request, _: re.Match[str]) -> Answer:
        self._require_external_tenant()
        return self._page(list(self.directory.user_flows.values()), request)

    def _list_flow_apps(self, request: Request, match: re.Match[str]) -> Answer:
        return self._page([{"appId": app} for app in self.directory.flow_apps[self._flow(match)]], request)

    def _link_flow(self, request: Request, match: re.Match[str]) -> Answer:
        return 201, self.directory.link_user_flow(self._flow(match), request.body)

    def _unlink_flow(self, request: Request, match: re.Match[str]) -> Answer:
        self.directory.unlink_user_flow(self._flow(match), match["app"])
        return 204, None

    def _flow(self, match: re.Match[str]) -> str:
        self._require_external_tenant()
        if match["flow"] not in self.directory.user_flows:
            raise not_found(match["flow"])
        return match["flow"]

    def _require_external_tenant(self) -> None:
        if self.directory.tenant_type != "CIAM":
            raise bad_request("The operation is not supported in this tenant.")

    def _filtered(self, objects: Iterable[Json], request: Request, allowed: tuple[str, ...]) -> list[Json]:
        """The objects that $filter lets through. It knows `name eq 'text'` for the documented names."""
        text = request.options.get("$filter")
        if text is None:
            return list(objects)
        match = FILTER.fullmatch(text)
        if not match or match[1] not in allowed:
            raise Refusal(400, "Request_UnsupportedQuery", f"Unsupported query: {text}")
        value = match[2].replace("''", "'").lower()  # Graph compares without regard to case
        return [one for one in objects if str(one.get(match[1])).lower() == value]

    def _page(self, objects: list[Json], request: Request) -> Answer:
        start = int(request.options.get("$skiptoken", "0"))
        page: Json = {"value": objects[start : start + self.page_size]}
        if len(objects) > start + self.page_size:
            page["next"] = start + self.page_size
        return 200, page


def _find(objects: dict[str, Json], match: re.Match[str], keys: tuple[str, ...]) -> Json:
    if match["id"]:
        found = objects.get(match["id"])
    else:
        if match["key"] not in keys:
            raise bad_request(f"'{match['key']}' is no alternate key.")
        value = match["value"].replace("''", "'")
        found = next((one for one in objects.values() if one[match["key"]] == value), None)
    if not found:
        raise not_found(match["id"] or match["value"])
    return found


def _selected(thing: Json, request: Request) -> Json:
    names = request.options.get("$select")
    if not names:
        return _without_keys(thing)
    return {name: thing.get(name) for name in names.split(",")}


def _without_keys(thing: Json) -> Json:
    keys = thing.get("keyCredentials")
    return {**thing, "keyCredentials": [{**key, "key": None} for key in keys]} if keys else thing


def _check_content(request: Request) -> None:
    has_body = request.body is not None
    if request.method in ("GET", "DELETE") and has_body:
        raise bad_request("The request has a body.")
    if has_body and request.headers.get("Content-Type", "").split(";")[0] != "application/json":
        raise Refusal(415, "UnsupportedMediaType", "The Content-Type has to be application/json.")
    if request.method == "PATCH" and not isinstance(request.body, dict):
        raise bad_request("A JSON object is expected in the request body.")
    needs_body = request.method == "POST" and not request.path.endswith("/restore")
    if needs_body and not isinstance(request.body, dict):
        raise bad_request("A JSON object is expected in the request body.")


def read_body(data: bytes) -> Any:
    """The JSON of a request's body, None without one. Raises Refusal."""
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise bad_request("Unable to read JSON request payload.") from error
