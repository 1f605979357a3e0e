"""The stand-in refuses what Microsoft Graph would refuse."""

import json
from typing import Any

import pytest
import requests

from local_tenant.graph import LocalGraph

WRITE = "Application.ReadWrite.All"
UPSERT = "/applications(uniqueName='tasks')"
NEW = {"displayName": "Tasks", "signInAudience": "AzureADMyOrg"}
SCOPE = {
    "id": "6b3e0a5c-9d43-4e0c-8a6e-0a5d6a5b8a11",
    "value": "tasks.read",
    "type": "Admin",
    "isEnabled": True,
    "adminConsentDisplayName": "Read",
    "adminConsentDescription": "Read tasks",
}


def send(
    server: LocalGraph, method: str, path: str, body: Any = None, scope: str = WRITE, **headers: str
) -> tuple[int, str]:
    """Send a request to Graph. Returns the status and the error code."""
    sent = {"Authorization": f"Bearer {server.access_token(scope)}", "Prefer": "create-if-missing"}
    if body is not None:
        sent["Content-Type"] = "application/json"
    answer = requests.request(
        method,
        f"{server.url}/v1.0{path}",
        data=None if body is None else json.dumps(body),
        headers={**sent, **headers},
        verify=server.ca_bundle,
        timeout=10,
    )
    code = answer.json()["error"]["code"] if answer.status_code >= 400 else ""
    return answer.status_code, code


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"colour": "blue"}, id="unknown property"),
        pytest.param({"web": {"redirectUri": []}}, id="unknown nested property"),
        pytest.param({"displayName": 1}, id="number for a string"),
        pytest.param({"web": {"redirectUris": "https://a.example/"}}, id="string for a list"),
        pytest.param({"identifierUris": None}, id="null where it is not allowed"),
        pytest.param({"displayName": ""}, id="empty name"),
        pytest.param({"displayName": "x" * 257}, id="long name"),
        pytest.param({"appId": "1"}, id="read-only property"),
        pytest.param({"uniqueName": "x"}, id="immutable property"),
        pytest.param({"passwordCredentials": [{"displayName": "x"}]}, id="secret by PATCH"),
        pytest.param({"signInAudience": "Everybody"}, id="unknown audience"),
        pytest.param({"web": {"redirectUris": ["http://app.example.com/"]}}, id="http redirect URI"),
        pytest.param(
            {"web": {"redirectUris": ["https://a.example/", "https://a.example/"]}}, id="same URI twice"
        ),
        pytest.param({"web": {"logoutUrl": "ftp://a.example/"}}, id="logout URL without https"),
        pytest.param(
            {"signInAudience": "AzureADandPersonalMicrosoftAccount"}, id="personal accounts with version 1"
        ),
        pytest.param({"identifierUris": ["https://other.example/api"]}, id="URI on another domain"),
        pytest.param({"identifierUris": ["api://somebody-else"]}, id="URI of another app"),
        pytest.param({"api": {"oauth2PermissionScopes": [{**SCOPE, "id": "1"}]}}, id="scope without GUID"),
        pytest.param({"api": {"oauth2PermissionScopes": [SCOPE, SCOPE]}}, id="same scope twice"),
        pytest.param({"api": {"oauth2PermissionScopes": [{**SCOPE, "type": "All"}]}}, id="type of scope"),
        pytest.param({"keyCredentials": [{"type": "Symmetric", "usage": "Verify"}]}, id="type of key"),
        pytest.param(
            {"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "key": "bm8="}]},
            id="no certificate",
        ),
    ],
)
def test_a_wrong_application_is_refused(server: LocalGraph, change: dict[str, Any]) -> None:
    assert send(server, "PATCH", UPSERT, NEW | change)[0] == 400
    assert server.directory.applications == {}


def test_a_right_application_is_created(server: LocalGraph) -> None:
    assert send(server, "PATCH", UPSERT, NEW) == (201, "")


def test_the_second_upsert_answers_without_a_body(server: LocalGraph) -> None:
    send(server, "PATCH", UPSERT, NEW)

    assert send(server, "PATCH", UPSERT, NEW) == (204, "")


def test_without_prefer_nothing_is_created(server: LocalGraph) -> None:
    assert send(server, "PATCH", UPSERT, NEW, Prefer="") == (404, "Request_ResourceNotFound")


def test_the_name_of_a_deleted_application_is_reserved(server: LocalGraph) -> None:
    send(server, "PATCH", UPSERT, NEW)
    server.directory.delete_application(server.directory.named("Tasks"))

    assert send(server, "PATCH", UPSERT, NEW) == (400, "Request_BadRequest")


def test_an_enabled_scope_cannot_be_dropped(server: LocalGraph) -> None:
    send(server, "PATCH", UPSERT, NEW | {"api": {"oauth2PermissionScopes": [SCOPE]}})
    without: dict[str, Any] = {"api": {"oauth2PermissionScopes": []}}

    assert send(server, "PATCH", UPSERT, without) == (400, "Request_BadRequest")


@pytest.mark.parametrize(
    "method, path, scope",
    [
        ("GET", "/applications", "User.Read"),
        ("PATCH", UPSERT, "Application.Read.All"),
        ("POST", "/servicePrincipals", "Application.Read.All"),
        ("GET", "/oauth2PermissionGrants", WRITE),
        ("POST", "/oauth2PermissionGrants", WRITE),
        ("GET", "/organization", WRITE),
        ("GET", "/identity/authenticationEventsFlows", WRITE),
    ],
)
def test_a_missing_permission_is_refused(server: LocalGraph, method: str, path: str, scope: str) -> None:
    body = None if method == "GET" else NEW

    assert send(server, method, path, body, scope) == (403, "Authorization_RequestDenied")


def test_an_unknown_token_is_refused(server: LocalGraph) -> None:
    answer = send(server, "GET", "/applications", Authorization="Bearer made-up")

    assert answer == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    "path, code",
    [
        ("/applications?$filter=startswith(displayName,'x')", "Request_UnsupportedQuery"),
        ("/applications?$filter=notes eq 'x'", "Request_UnsupportedQuery"),
        ("/applications?$select=colour", "Request_BadRequest"),
        ("/applications(displayName='x')", "Request_BadRequest"),
        ("/aplications", "Request_BadRequest"),
        ("/directory/deletedItems", "Request_BadRequest"),
    ],
)
def test_a_wrong_query_is_refused(server: LocalGraph, path: str, code: str) -> None:
    assert send(server, "GET", path) == (400, code)


def test_a_body_needs_its_content_type(server: LocalGraph) -> None:
    answer = send(server, "PATCH", UPSERT, NEW, **{"Content-Type": "text/plain"})

    assert answer == (415, "UnsupportedMediaType")


def test_a_body_that_is_no_json_is_refused(server: LocalGraph) -> None:
    headers = {"Authorization": f"Bearer {server.access_token(WRITE)}", "Content-Type": "application/json"}
    answer = requests.patch(
        f"{server.url}/v1.0{UPSERT}", data="{", headers=headers, verify=server.ca_bundle, timeout=10
    )

    assert answer.status_code == 400


def test_a_service_principal_needs_its_application(server: LocalGraph) -> None:
    body = {"appId": "6b3e0a5c-9d43-4e0c-8a6e-0a5d6a5b8a11"}

    assert send(server, "POST", "/servicePrincipals", body) == (400, "Request_BadRequest")


def test_one_app_has_one_service_principal(server: LocalGraph) -> None:
    body = {"appId": server.directory.add_application("Tasks")["appId"]}
    send(server, "POST", "/servicePrincipals", body)

    assert send(server, "POST", "/servicePrincipals", body)[0] == 409


def test_the_same_grant_cannot_be_made_twice(server: LocalGraph) -> None:
    app = server.directory.add_application("Tasks")
    service = server.directory.create_service_principal({"appId": app["appId"]})
    body = {
        "clientId": service["id"],
        "consentType": "AllPrincipals",
        "resourceId": server.directory.graph_service["id"],
        "scope": "openid",
    }
    scope = "DelegatedPermissionGrant.ReadWrite.All"

    assert send(server, "POST", "/oauth2PermissionGrants", body, scope)[0] == 201
    assert send(server, "POST", "/oauth2PermissionGrants", body, scope)[0] == 409


def test_a_secret_is_shown_once(server: LocalGraph) -> None:
    app = server.directory.add_application("Tasks")
    send(server, "POST", f"/applications/{app['id']}/addPassword", {"passwordCredential": {}})

    [credential] = app["passwordCredentials"]
    assert credential["secretText"] is None


def test_user_flows_are_for_external_tenants(server: LocalGraph) -> None:
    path, scope = "/identity/authenticationEventsFlows", "EventListener.Read.All"

    assert send(server, "GET", path, None, scope) == (400, "Request_BadRequest")
