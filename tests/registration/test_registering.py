"""What flask register makes, what it keeps, and what it leaves alone the second time."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from signin.oidc import Certificate
from signin.registration import carry_out
from tests.registration.conftest import API_SCOPES, AsOperator, Operator, certificate_file

KINDS = ["b2c", "external-id", "entra-id", "entra-id-many-tenants"]
GRAPH_SERVICE = "00000003-0000-0000-c000-000000000000"


def permissions(operator: Operator, app_id: str) -> set[str]:
    """The names of the permissions of an API that the app asks for."""
    services = operator.directory.service_principals.values()
    scopes = next(one for one in services if one["appId"] == app_id)["oauth2PermissionScopes"]
    names = {scope["id"]: scope["value"] for scope in scopes}
    entries = [e for e in operator.app["requiredResourceAccess"] if e["resourceAppId"] == app_id]
    return {names[access["id"]] for entry in entries for access in entry["resourceAccess"]}


def test_both_redirect_uris_are_registered(operator: AsOperator) -> None:
    ada = operator()
    ada.register()

    assert ada.app["web"]["redirectUris"] == ["http://localhost:5000/getAToken", "http://localhost:5000/"]


def test_the_logout_url_is_registered(operator: AsOperator) -> None:
    ada = operator(logout_url="https://app.example.com/signed-out")
    ada.register()

    assert ada.app["web"]["logoutUrl"] == "https://app.example.com/signed-out"


@pytest.mark.parametrize(
    "wanted, audience",
    [
        ({"kind": "b2c"}, "AzureADandPersonalMicrosoftAccount"),
        ({"kind": "external-id"}, "AzureADMyOrg"),
        ({"kind": "entra-id"}, "AzureADMyOrg"),
        ({"kind": "entra-id-many-tenants"}, "AzureADMultipleOrgs"),
        (
            {"kind": "entra-id-many-tenants", "personal_accounts": True},
            "AzureADandPersonalMicrosoftAccount",
        ),
    ],
)
def test_the_account_types_fit_the_authority(
    operator: AsOperator, wanted: dict[str, Any], audience: str
) -> None:
    ada = operator(**wanted)
    ada.register()

    assert ada.app["signInAudience"] == audience


@pytest.mark.parametrize("kind", KINDS)
def test_all_users_are_consented_for(operator: AsOperator, kind: str) -> None:
    ada = operator(kind=kind)
    ada.register()

    expected = "openid offline_access" if kind == "b2c" else "openid profile offline_access"
    assert ada.granted() == {"Microsoft Graph": expected}
    assert permissions(ada, GRAPH_SERVICE) == set(expected.split())


def test_the_secret_is_handed_over_once(operator: AsOperator) -> None:
    ada = operator()
    ada.register()

    [credential] = ada.app["passwordCredentials"]
    assert ada.secret == ada.directory.secret(credential["keyId"])


def test_the_id_token_gets_a_login_hint(operator: AsOperator) -> None:
    ada = operator()
    ada.register()

    assert ada.app["optionalClaims"] == {"idToken": [{"name": "login_hint"}]}


def test_front_channel_sign_out_gets_a_sid(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.wants(logout_url="https://app.example.com/signed-out").register()

    assert ada.app["optionalClaims"] == {"idToken": [{"name": "login_hint"}, {"name": "sid"}]}
    assert ada.plan().steps == ()


def test_b2c_gets_no_optional_claims(operator: AsOperator) -> None:
    ada = operator(kind="b2c")
    ada.register()

    assert ada.app["optionalClaims"] is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_app_may_call_the_web_api(operator: AsOperator, kind: str) -> None:
    ada = operator(kind=kind, api_scopes=API_SCOPES)
    ada.register()

    assert permissions(ada, ada.api["appId"]) == set(API_SCOPES)
    assert ada.granted()["Flask web app API"] == "tasks.read tasks.write"


@pytest.mark.parametrize("kind", KINDS)
def test_the_web_api_has_an_application_id_uri(operator: AsOperator, kind: str) -> None:
    ada = operator(kind=kind, api_scopes=API_SCOPES)
    ada.register()

    b2c = "https://contoso.onmicrosoft.com/flask-web-app-api"
    assert ada.api["identifierUris"] == [b2c if kind == "b2c" else f"api://{ada.api['appId']}"]


def test_the_web_api_gets_access_tokens_of_version_2(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()

    assert ada.api["api"]["requestedAccessTokenVersion"] == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_run_has_nothing_to_do(operator: AsOperator, kind: str) -> None:
    ada = operator(kind=kind, api_scopes=API_SCOPES)
    if kind == "external-id":
        ada.directory.add_user_flow("SignUpSignIn")
    ada.register()

    assert ada.plan().steps == ()


def test_planning_changes_nothing(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.plan()

    assert ada.server.writes == []


def test_a_web_api_can_be_added_later(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.wants(api_scopes=API_SCOPES).register()

    assert permissions(ada, GRAPH_SERVICE) == {"openid", "profile", "offline_access"}
    assert permissions(ada, ada.api["appId"]) == set(API_SCOPES)


def test_a_scope_can_be_added_later(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()
    ada.wants(api_scopes=(*API_SCOPES, "tasks.admin")).register()

    assert ada.granted()["Flask web app API"] == "tasks.read tasks.write tasks.admin"
    assert permissions(ada, ada.api["appId"]) == {*API_SCOPES, "tasks.admin"}


# --- What somebody added in the portal --------------------------------------------------------------


def test_a_redirect_uri_of_somebody_else_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.app["web"]["redirectUris"] = ["https://app.example.com/getAToken"]
    ada.register()

    assert ada.app["web"]["redirectUris"] == [
        "https://app.example.com/getAToken",
        "http://localhost:5000/getAToken",
        "http://localhost:5000/",
    ]


def test_a_permission_of_somebody_else_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    scopes = ada.directory.graph_service["oauth2PermissionScopes"]
    user_read = next(scope["id"] for scope in scopes if scope["value"] == "User.Read")
    access = [{"id": user_read, "type": "Scope"}]
    ada.app["requiredResourceAccess"] = [{"resourceAppId": GRAPH_SERVICE, "resourceAccess": access}]
    ada.register()

    assert permissions(ada, GRAPH_SERVICE) == {"User.Read", "openid", "profile", "offline_access"}


def test_consent_of_somebody_else_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    [grant] = ada.directory.grants.values()
    grant["scope"] = "User.Read openid"
    ada.register()

    assert ada.granted()["Microsoft Graph"] == "User.Read openid profile offline_access"


def test_a_claim_of_somebody_else_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.app["optionalClaims"] = {"idToken": [{"name": "ctry"}], "accessToken": [{"name": "ipaddr"}]}
    ada.register()

    assert ada.app["optionalClaims"] == {
        "idToken": [{"name": "ctry"}, {"name": "login_hint"}],
        "accessToken": [{"name": "ipaddr"}],
    }


def test_a_new_name_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.wants(client_id=ada.app["appId"])
    ada.app["displayName"] = "Tasks"

    assert ada.plan().steps == ()


def test_wider_account_types_stay(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.app["signInAudience"] = "AzureADMultipleOrgs"

    assert ada.plan().steps == ()


def test_narrower_account_types_are_widened(operator: AsOperator) -> None:
    ada = operator(kind="b2c")
    ada.register()
    ada.app["signInAudience"] = "AzureADMyOrg"
    ada.app["api"]["requestedAccessTokenVersion"] = None
    ada.register()

    assert ada.app["signInAudience"] == "AzureADandPersonalMicrosoftAccount"


# --- Credentials ------------------------------------------------------------------------------------


def test_a_lost_secret_is_replaced(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.secret = None
    ada.register()

    [credential] = ada.app["passwordCredentials"]
    assert ada.secret == ada.directory.secret(credential["keyId"])


def test_an_expired_secret_is_replaced(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    first = ada.secret
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    ada.app["passwordCredentials"][0]["endDateTime"] = yesterday.isoformat()
    ada.register()

    assert ada.secret != first
    assert len(ada.app["passwordCredentials"]) == 1


def test_the_secret_of_another_machine_stays(operator: AsOperator) -> None:
    ada, bob = operator(), operator(secret_name="flask register on bob")
    ada.register()
    bob.register()

    names = [credential["displayName"] for credential in ada.app["passwordCredentials"]]
    assert names == ["flask register on ada", "flask register on bob"]


def test_a_federated_app_gets_no_secret(operator: AsOperator) -> None:
    ada = operator(needs_secret=False)
    ada.register()

    assert ada.app["passwordCredentials"] == []


def certificate(folder: Path, owner: str = "ada") -> Certificate:
    return Certificate(certificate_file(folder, owner))


def test_a_certificate_is_registered_instead_of_a_secret(operator: AsOperator, tmp_path: Path) -> None:
    ada = operator(certificate=certificate(tmp_path))
    ada.register()

    assert len(ada.app["keyCredentials"]) == 1
    assert ada.app["passwordCredentials"] == []
    assert ada.plan().steps == ()


def test_a_certificate_replaces_the_secret_of_this_machine(operator: AsOperator, tmp_path: Path) -> None:
    ada, bob = operator(), operator(secret_name="flask register on bob")
    ada.register()
    bob.register()
    ada.wants(certificate=certificate(tmp_path)).register()

    assert [one["displayName"] for one in ada.app["passwordCredentials"]] == ["flask register on bob"]


def test_the_settings_are_saved_before_the_secret_is_removed(operator: AsOperator, tmp_path: Path) -> None:
    ada = operator()
    ada.register()
    secrets_at_saving: list[int] = []
    plan = ada.wants(certificate=certificate(tmp_path)).plan()
    carry_out(
        ada.graph(),
        plan,
        save=lambda facts, secret: secrets_at_saving.append(len(ada.app["passwordCredentials"])),
    )

    assert secrets_at_saving == [1]
    assert ada.app["passwordCredentials"] == []


def test_a_certificate_of_somebody_else_stays(operator: AsOperator, tmp_path: Path) -> None:
    ada = operator(certificate=certificate(tmp_path, "bob"))
    ada.register()
    [first] = ada.app["keyCredentials"]
    ada.wants(certificate=certificate(tmp_path)).register()

    assert len(ada.app["keyCredentials"]) == 2
    assert first in ada.app["keyCredentials"]


# --- User flows -------------------------------------------------------------------------------------


def test_the_only_user_flow_is_linked(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    flow = ada.directory.add_user_flow("SignUpSignIn")
    ada.register()

    assert ada.directory.flow_apps[flow["id"]] == [ada.app["appId"]]


def test_the_chosen_user_flow_is_linked(operator: AsOperator) -> None:
    ada = operator(kind="external-id", user_flow="Partners")
    ada.directory.add_user_flow("SignUpSignIn")
    flow = ada.directory.add_user_flow("Partners")
    ada.register()

    assert ada.directory.flow_apps[flow["id"]] == [ada.app["appId"]]


def test_a_user_flow_that_somebody_linked_stays(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    ada.register()
    flow = ada.directory.add_user_flow("SignUpSignIn")
    ada.directory.add_user_flow("Partners")
    ada.directory.flow_apps[flow["id"]].append(ada.app["appId"])

    assert ada.plan().steps == ()


def test_the_linked_user_flow_is_shown(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    ada.directory.add_user_flow("SignUpSignIn")
    ada.register()

    assert ada.plan().remarks == ("The user flow SignUpSignIn is linked.",)


def test_another_user_flow_takes_the_place_of_the_linked_one(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    first = ada.directory.add_user_flow("SignUpSignIn")
    ada.register()
    second = ada.directory.add_user_flow("Partners")
    ada.wants(user_flow="Partners").register()

    assert ada.directory.flow_apps == {first["id"]: [], second["id"]: [ada.app["appId"]]}


def test_without_a_user_flow_the_portal_is_named(operator: AsOperator) -> None:
    [remark] = operator(kind="external-id").plan().remarks

    assert "External Identities > User flows" in remark


def test_for_b2c_user_flows_the_portal_is_named(operator: AsOperator) -> None:
    [remark] = operator(kind="b2c").plan().remarks

    assert "Azure AD B2C > User flows" in remark
