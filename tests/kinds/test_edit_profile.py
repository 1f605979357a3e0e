"""Profile editing on a page of the app, which reads and writes the profile in Microsoft Graph."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, import_app
from tests.helpers.browser import Browser, Document
from tests.helpers.tenant import Tenant
from tests.kinds.conftest import ENTRA_ID, EXTERNAL_ID, ServeKind

PAGE = "/edit_profile"
CONSENT = "Permissions requested"


@pytest.fixture(params=[ENTRA_ID, EXTERNAL_ID])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind. With many tenants all is as with one."""
    return str(request.param)


@pytest.fixture
def user(browser: Browser, tenant: Tenant) -> Iterator[Browser]:
    """Somebody who has opened the form."""
    browser.sign_in()
    browser.click("Edit profile")
    if heading(browser) == CONSENT:
        browser.submit("accept")
    assert heading(browser) == "Edit profile"
    tenant.forget_requests()
    yield browser


def heading(browser: Browser) -> str:
    return Document(browser.page.text).heading


def fields(browser: Browser) -> dict[str, str]:
    """What the fields of the form hold."""
    form = next(form for form in Document(browser.page.text).forms if "save" in form.buttons)
    return form.fields


def save(browser: Browser, **changes: str) -> requests.Response:
    """Change these fields, and press Save as a browser does."""
    browser.http.headers["Origin"] = browser.app_url
    answer = browser.submit("save", follow=True, **changes)
    del browser.http.headers["Origin"]
    return answer


def patches(tenant: Tenant) -> list[dict[str, Any]]:
    return [seen for seen in tenant.seen("api") if seen["method"] == "PATCH"]


def test_the_form_shows_the_profile_with_plain_labels(user: Browser) -> None:
    assert fields(user)["displayName"] == "Ada Lovelace"
    for label in ("Display name", "Given name", "Surname", "Postal code", "Country or region"):
        assert label in user.text


def test_a_changed_name_shows_at_once(user: Browser) -> None:
    save(user, displayName="Countess of Lovelace", city="London")

    assert "Your profile has been updated." in user.text
    assert user.signed_in_as() == "Countess of Lovelace"
    assert fields_after_reload(user)["city"] == "London"


def fields_after_reload(browser: Browser) -> dict[str, str]:
    browser.get(PAGE)
    return fields(browser)


def test_only_what_has_changed_is_sent(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api={"status": 204})

    save(user, city="Paris")

    [patch] = patches(tenant)
    assert int(patch["headers"]["Content-Length"]) == len('{"city": "Paris"}')


def test_an_emptied_field_is_emptied_in_the_profile(user: Browser) -> None:
    save(user, city="Paris")
    user.get(PAGE)

    save(user, city="")

    assert fields_after_reload(user)["city"] == ""


def test_nothing_is_sent_when_nothing_has_changed(user: Browser, tenant: Tenant) -> None:
    save(user)

    assert "Nothing has changed." in user.text
    assert patches(tenant) == []


def test_a_name_is_required(user: Browser, tenant: Tenant) -> None:
    answer = save(user, displayName=" ", city="Paris")

    assert answer.status_code == 400
    assert "Please enter a display name." in user.text
    assert fields(user)["city"] == "Paris"
    assert patches(tenant) == []


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_a_form_that_another_site_sends_changes_nothing(user: Browser, tenant: Tenant) -> None:
    answer = user.post(PAGE, Origin="https://evil.example", Sec_Fetch_Site="cross-site")

    assert answer.status_code == 403
    assert "Nothing has been changed." in user.text
    assert patches(tenant) == []


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_a_form_of_another_account_changes_nothing(user: Browser, tenant: Tenant) -> None:
    answer = save(user, user="somebody-else", city="Paris")

    assert answer.status_code == 409
    assert "You now use another account. Nothing has been changed." in user.text
    assert patches(tenant) == []


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize(
    "fault, status, words",
    [
        (
            {"status": 400, "body": {"error": {"message": "Invalid value for 'city'."}}},
            400,
            "did not accept a value. It says: Invalid value for 'city'.",
        ),
        ({"status": 403, "body": {"error": {}}}, 403, "You are not allowed to change this."),
        ({"status": 429}, 503, "Your changes may not have been saved."),
        ({"reset": True}, 503, "Your changes may not have been saved."),
        ({"status": 500}, 502, "could not save your changes"),
    ],
)
def test_a_refused_change_is_explained_and_what_was_typed_stays(
    user: Browser, tenant: Tenant, fault: dict[str, Any], status: int, words: str
) -> None:
    tenant.misbehave(api={"content_type": "application/json"} | fault)

    answer = save(user, city="Paris")

    assert answer.status_code == status
    assert words in user.text
    assert "Reference: " in user.text
    assert fields(user)["city"] == "Paris"


@pytest.mark.parametrize("kind", [ENTRA_ID])
@pytest.mark.parametrize("fault", [{"status": 403}, {"reset": True}, {"status": 200, "body": "[]"}])
def test_a_profile_that_cannot_be_read_has_a_page(
    user: Browser, tenant: Tenant, fault: dict[str, Any]
) -> None:
    tenant.misbehave(api=fault)

    answer = user.get(PAGE)

    assert answer.status_code == 502
    assert heading(user) == "Your profile cannot be edited at the moment"


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_after_the_form_the_user_is_back_on_the_page_before(user: Browser) -> None:
    user.get("/token_details")
    user.click("Edit profile")

    save(user, city="Paris")

    assert user.page.url == f"{user.app_url}/token_details"


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_the_token_of_the_web_api_is_not_used_for_graph(
    kind: str, serve_kind: ServeKind, local: LocalTenant, tenant: Tenant
) -> None:
    app = serve_kind(kind, ENDPOINT=local.api_url, SCOPE=local.tasks_scope)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        if heading(browser) == CONSENT:
            browser.submit("accept")
        browser.get(PAGE)
        if heading(browser) == CONSENT:
            browser.submit("accept")

        assert heading(browser) == "Edit profile"
        assert browser.get("/call_downstream_api").status_code == 200


def test_without_the_setting_there_is_neither_page_nor_link(
    kind: str, serve_kind: ServeKind, tenant: Tenant
) -> None:
    with Browser(serve_kind(kind, PROFILE_SCOPE="", GRAPH_URL="").url, tenant) as browser:
        browser.sign_in()

        assert "Edit profile" not in browser.text
        assert browser.get(PAGE).status_code == 404


@pytest.mark.parametrize("kind", [ENTRA_ID])
def test_flask_check_names_a_graph_that_is_not_there(app: RunningApp, local: LocalTenant) -> None:
    environ = app.environ | {"GRAPH_URL": f"{local.graph_url}/v0"}

    result = import_app(environ).test_cli_runner().invoke(args=["check", "--json"], env=environ)

    faults = {f["what"]: f["advice"] for f in json.loads(result.output) if not f["ok"]}
    assert list(faults) == ["Microsoft Graph"]
    assert "GRAPH_URL" in faults["Microsoft Graph"]
