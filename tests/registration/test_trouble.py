"""What can go wrong on the way, and that the next run goes on from there."""

import pytest

from local_tenant.graph.server import Fault, LocalGraph
from signin.registration import (
    DeletedNamesake,
    Graph,
    GraphRefused,
    GraphUnavailable,
    NameTaken,
    PermissionMissing,
    UserFlowUnknown,
    WrongTenant,
    carry_out,
)
from tests.registration.conftest import API_SCOPES, AsOperator

WRITES = 8  # of a first run with a web API


def test_a_name_that_is_taken_twice_is_refused(operator: AsOperator) -> None:
    ada = operator()
    others = {ada.directory.add_application("Flask web app")["appId"] for _ in range(2)}

    with pytest.raises(NameTaken, match="--name") as taken:
        ada.plan()
    assert set(taken.value.client_ids) == others


def test_a_unique_name_of_somebody_else_is_refused(operator: AsOperator) -> None:
    ada = operator()
    other = ada.directory.add_application("Tasks", "flask-web-app")

    with pytest.raises(NameTaken) as taken:
        ada.plan()
    assert taken.value.client_ids == (other["appId"],)


def test_a_name_with_a_quote_works(operator: AsOperator) -> None:
    ada = operator(name="Ada's & Bob's app")
    ada.register()

    assert ada.directory.named("Ada's & Bob's app")
    assert ada.plan().steps == ()


def test_a_name_without_latin_letters_works(operator: AsOperator) -> None:
    ada = operator(name="応用")
    ada.register()

    assert ada.directory.named("応用")
    assert ada.plan().steps == ()


def test_another_name_with_the_same_unique_name_is_refused(operator: AsOperator) -> None:
    operator(name="Tasks app").register()

    with pytest.raises(NameTaken, match=r"Tasks app .*--name"):
        operator(name="Tasks-App").plan()


def test_a_web_api_is_not_taken_for_a_web_app(operator: AsOperator) -> None:
    operator(api_scopes=API_SCOPES).register()

    with pytest.raises(NameTaken, match="is a web API"):
        operator(name="Flask web app API").plan()


def test_a_web_app_is_not_taken_for_a_web_api(operator: AsOperator) -> None:
    operator(name="Flask web app API").register()

    with pytest.raises(NameTaken, match="is a web app"):
        operator(api_scopes=API_SCOPES).plan()


def test_a_deleted_namesake_is_named(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.directory.delete_application(ada.app)

    with pytest.raises(DeletedNamesake, match="--restore"):
        ada.plan()


def test_a_deleted_registration_is_restored(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()
    client_id = ada.app["appId"]
    ada.directory.delete_application(ada.app)
    ada.directory.delete_application(ada.api)
    ada.wants(restore=True).register()

    assert ada.app["appId"] == client_id
    assert ada.granted()["Flask web app API"] == "tasks.read tasks.write"
    assert ada.directory.deleted == {}
    assert ada.plan().steps == ()


def test_a_deleted_registration_of_somebody_else_is_not_restored(operator: AsOperator) -> None:
    ada = operator(restore=True)
    ada.directory.delete_application(ada.directory.add_application("Tasks", "flask-web-app"))

    with pytest.raises(DeletedNamesake, match="Choose another name"):
        ada.plan()


def test_a_tenant_of_another_type_is_refused(operator: AsOperator) -> None:
    ada = operator(kind="b2c")
    ada.directory.tenant_type = "AAD"

    with pytest.raises(WrongTenant, match=r"AAD B2C \(Azure AD B2C\)"):
        ada.plan()


def test_several_user_flows_are_listed(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    ada.directory.add_user_flow("SignUpSignIn")
    ada.directory.add_user_flow("Partners")

    with pytest.raises(UserFlowUnknown, match="SignUpSignIn, Partners"):
        ada.plan()


def test_a_misspelt_user_flow_is_refused(operator: AsOperator) -> None:
    ada = operator(kind="external-id", user_flow="SignUp")
    ada.directory.add_user_flow("SignUpSignIn")

    with pytest.raises(UserFlowUnknown, match="no user flow SignUp"):
        ada.plan()


def test_a_misspelt_user_flow_is_refused_when_another_is_linked(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    ada.directory.add_user_flow("SignUpSignIn")
    ada.register()

    with pytest.raises(UserFlowUnknown, match="no user flow Partners"):
        ada.wants(user_flow="Partners").plan()


def test_objects_are_found_on_later_pages(operator: AsOperator) -> None:
    ada = operator(kind="external-id", user_flow="Flow 4")
    ada.server.api.page_size = 2
    flows = [ada.directory.add_user_flow(f"Flow {number}") for number in range(5)]
    ada.register()

    assert ada.directory.flow_apps[flows[4]["id"]] == [ada.app["appId"]]


# --- Throttling -------------------------------------------------------------------------------------


def test_retry_after_is_kept(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("POST", "/servicePrincipals", 429, {"Retry-After": "7"}, times=2)]
    ada.register()

    assert ada.waits == [7, 7]


def test_a_pause_is_said(operator: AsOperator) -> None:
    ada, said = operator(), list[str]()
    ada.server.faults = [Fault("GET", "/organization", 429, {"Retry-After": "20"})]
    access_token = ada.server.access_token(*ada.wanted.graph_permissions)
    Graph(access_token, ada.server.url, sleep=ada.waits.append, say=said.append).get("/organization")

    assert said == ["Microsoft Graph asks for a pause of 20 s."]


@pytest.mark.parametrize("header", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_senseless_pause_is_refused(operator: AsOperator, header: str) -> None:
    ada = operator()
    ada.server.faults = [Fault("GET", "/organization", 429, {"Retry-After": header})]

    with pytest.raises(GraphUnavailable, match="86400 seconds"):
        ada.register()


def test_without_retry_after_the_waits_grow(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("GET", "/organization", 503, times=3)]
    ada.register()

    assert ada.waits == [1, 2, 4]


def test_nobody_waits_for_long(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("GET", "/organization", 429, {"Retry-After": "3600"})]

    with pytest.raises(GraphUnavailable, match="3600 seconds"):
        ada.register()
    assert ada.waits == []


def test_retries_end(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("GET", "/organization", 503, times=100)]

    with pytest.raises(GraphUnavailable):
        ada.register()
    assert len(ada.waits) == 5


def test_a_new_object_may_take_a_while(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("POST", "/addPassword", 404, times=2)]
    ada.register()

    assert ada.secret
    assert ada.waits == [1, 2]


# --- Permissions ------------------------------------------------------------------------------------


def test_a_missing_role_is_named(operator: AsOperator) -> None:
    ada = operator()
    ada.server.api.may_grant = False

    with pytest.raises(PermissionMissing, match="Cloud Application Administrator"):
        ada.register()


def test_an_administrator_finishes_what_others_began(operator: AsOperator) -> None:
    ada = operator()
    ada.server.api.may_grant = False
    with pytest.raises(PermissionMissing):
        ada.register()
    ada.server.api.may_grant = True
    plan = ada.register()

    assert [step.path for step in plan.steps] == ["/oauth2PermissionGrants"]


def test_an_expired_token_is_named(server: LocalGraph) -> None:
    with pytest.raises(PermissionMissing, match="Sign in again"):
        Graph("expired", server.url).get("/organization")


def test_a_refusal_carries_graphs_code(operator: AsOperator) -> None:
    with pytest.raises(GraphRefused) as refused:
        operator().graph().send("PATCH", "/applications(uniqueName='x')", {"colour": "blue"})

    assert (refused.value.status, refused.value.code) == (404, "Request_ResourceNotFound")
    assert refused.value.request_id


def test_an_app_that_appears_after_the_plan_is_taken(operator: AsOperator) -> None:
    ada = operator()
    plan = ada.plan()
    ada.directory.upsert_application("flask-web-app", {"displayName": "Flask web app"}, may_create=True)
    facts = carry_out(ada.graph(), plan)

    assert facts["web"]["appId"] == ada.app["appId"]
    assert ada.granted() == {"Microsoft Graph": "openid profile offline_access"}


def test_a_service_principal_that_appears_after_the_plan_is_taken(operator: AsOperator) -> None:
    ada = operator()
    plan = ada.plan()
    ada.directory.upsert_application("flask-web-app", {"displayName": "Flask web app"}, may_create=True)
    service = ada.directory.create_service_principal({"appId": ada.app["appId"]})
    facts = carry_out(ada.graph(), plan)

    assert facts["web_service"]["id"] == service["id"]


def test_consent_that_is_there_already_is_no_failure(operator: AsOperator) -> None:
    ada = operator()
    ada.server.faults = [Fault("POST", "/oauth2PermissionGrants", 409)]
    ada.register()

    assert ada.secret


# --- A break in the middle --------------------------------------------------------------------------


def state(operator: AsOperator, server: LocalGraph) -> dict[str, object]:
    """What the directory holds in the end, apart from the IDs."""
    directory = server.directory
    return {
        "apps": sorted(app["displayName"] for app in directory.applications.values()),
        "services": sorted(one["displayName"] for one in directory.service_principals.values()),
        "grants": sorted(grant["scope"] for grant in directory.grants.values()),
        "secrets": [len(app["passwordCredentials"]) for app in directory.applications.values()],
        "uris": [len(app["identifierUris"]) for app in directory.applications.values()],
    }


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("number", range(WRITES))
def test_the_next_run_goes_on_after_a_break(
    operator: AsOperator, server: LocalGraph, number: int, after: bool
) -> None:
    ada = operator(api_scopes=API_SCOPES)
    plan = ada.plan()
    assert len(plan.steps) == WRITES
    server.faults = [Fault("PATCH|POST", "", skip=number, after=after)]

    with pytest.raises(GraphUnavailable):
        ada.register()
    server.faults = []
    ada.register()

    assert ada.plan().steps == ()
    assert state(operator, server) == {
        "apps": ["Flask web app", "Flask web app API"],
        "services": ["Flask web app", "Flask web app API", "Microsoft Graph"],
        "grants": ["openid profile offline_access", "tasks.read tasks.write"],
        "secrets": [0, 1],
        "uris": [1, 0],
    }
