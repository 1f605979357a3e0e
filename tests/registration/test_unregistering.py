"""What flask unregister removes, and what it leaves."""

from tests.registration.conftest import API_SCOPES, AsOperator


def test_what_was_made_is_removed(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()
    ada.unregister()

    assert ada.directory.applications == {}
    assert list(ada.directory.service_principals.values()) == [ada.directory.graph_service]
    assert ada.directory.grants == {}


def test_other_registrations_stay(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    other = ada.directory.add_application("Flask web app")
    ada.unregister()

    assert list(ada.directory.applications.values()) == [other]


def test_a_registration_that_somebody_else_made_stays(operator: AsOperator) -> None:
    ada = operator()
    ada.directory.add_application("Flask web app")

    assert ada.unregister().steps == ()


def test_a_web_app_with_the_name_of_the_web_api_stays(operator: AsOperator) -> None:
    other, ada = operator(name="Flask web app API"), operator()
    other.register()
    ada.register()
    ada.unregister()

    assert [app["displayName"] for app in ada.directory.applications.values()] == ["Flask web app API"]


def test_a_web_api_that_others_call_stays(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()
    other = ada.directory.add_application("Report")
    client = ada.directory.create_service_principal({"appId": other["appId"]})
    services = ada.directory.service_principals.values()
    resource = next(one for one in services if one["displayName"] == "Flask web app API")
    ada.directory.create_grant(
        {
            "clientId": client["id"],
            "consentType": "AllPrincipals",
            "resourceId": resource["id"],
            "scope": "tasks.read",
        }
    )
    plan = ada.unregister()

    assert ada.api
    assert any("Flask web app API stays" in remark for remark in plan.remarks)


def test_the_user_flow_is_unlinked_and_stays(operator: AsOperator) -> None:
    ada = operator(kind="external-id")
    flow = ada.directory.add_user_flow("SignUpSignIn")
    ada.register()
    ada.unregister()

    assert ada.directory.flow_apps == {flow["id"]: []}


def test_secrets_of_others_are_mentioned(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.directory.add_password(ada.app, {"displayName": "nightly build"})

    assert any("nightly build" in remark for remark in ada.unregister().remarks)


def test_certificates_and_federated_credentials_are_mentioned(operator: AsOperator) -> None:
    ada = operator()
    ada.register()
    ada.app["keyCredentials"] = [{"keyId": "1", "displayName": "build server"}]
    ada.app["federatedIdentityCredentials"] = [{"id": "2", "name": "cluster"}]
    remarks = " ".join(ada.unregister().remarks)

    assert "These certificates stop working too: build server." in remarks
    assert "These federated credentials stop working too: cluster." in remarks


def test_the_second_run_has_nothing_to_do(operator: AsOperator) -> None:
    ada = operator(api_scopes=API_SCOPES)
    ada.register()
    ada.unregister()

    assert ada.unregister().steps == ()
