"""What only the user can give: it is asked for when it is needed, and once."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.typing import ResponseReturnValue

from local_tenant import LocalTenant
from signin.web import access_token, sign_in_required
from tests.app.test_conditional_access import INTERACTION_REQUIRED, NOT_ALLOWED, PAGE, insufficient_claims
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, Document, parameters
from tests.helpers.tenant import Tenant, register_redirect_uri

SCRIPT: dict[str, Any] = {"Sec_Fetch_Mode": "cors", "Sec_Fetch_Site": "same-origin"}
VISIT: dict[str, Any] = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "same-origin"}


@pytest.fixture
def user(browser: Browser, tenant: Tenant) -> Browser:
    """Somebody signed in, whose access tokens end so soon that each call refreshes them."""
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    tenant.forget_requests()
    return browser


@pytest.fixture(scope="module")
def entra_id() -> Iterator[LocalTenant]:
    with LocalTenant(port=0, kind="entra-id") as running:
        yield running


@pytest.fixture(scope="module")
def entra_app(entra_id: LocalTenant, serve_app: ServeApp) -> RunningApp:
    """The app for Entra ID, with a script's view that needs a consent."""
    running = serve_app(entra_id)
    register_redirect_uri(entra_id, f"{running.url}/")

    @running.flask.get("/profile.json")
    @sign_in_required(scopes=["User.ReadWrite"])
    def profile() -> ResponseReturnValue:
        return {"scopes": access_token(["User.ReadWrite"])[:2]}

    return running


@pytest.fixture
def employee(entra_app: RunningApp, entra_id: LocalTenant) -> Iterator[Browser]:
    """Somebody at the app for Entra ID."""
    tenant = Tenant(entra_id)
    with Browser(entra_app.url, tenant) as browser:
        yield browser
    tenant.behave()


def heading(browser: Browser) -> str:
    return Document(browser.page.text).heading


# --- Pages


def test_a_challenge_that_the_sign_in_met_is_met_again_at_each_sign_in(employee: Browser) -> None:
    employee.tenant.option(token_challenge=True)
    employee.sign_in()
    for _ in range(4):
        employee.get("/login")

        assert (employee.page.status_code, heading(employee)) == (200, "Welcome, Ada Lovelace")


def test_a_page_that_is_opened_twice_before_the_user_comes_back_asks_twice(
    user: Browser, tenant: Tenant
) -> None:
    tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 2})

    statuses = [user.get(PAGE, follow=False).status_code for _ in range(2)]
    user.get(user.location)

    assert statuses == [302, 302]
    assert (user.page.status_code, user.page.url) == (200, f"{user.app_url}{PAGE}")


def test_a_new_sign_in_of_the_user_makes_room_for_another_interaction(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims())
    user.get(PAGE, follow=False)
    user.follow()
    user.get(user.location, follow=False)  # the user comes back, and leaves the page before it loads
    tenant.recover()
    user.get("/login")
    tenant.misbehave(api=insufficient_claims() | {"times": 2})

    assert user.get(PAGE).status_code == 200


# --- Scripts


def test_a_script_gets_the_address_of_the_interaction_that_it_needs(employee: Browser) -> None:
    employee.sign_in()
    answer = employee.get("/profile.json", **SCRIPT, Referer=f"{employee.app_url}/token_details")
    assert (answer.status_code, answer.json()["error"]) == (401, "interaction_required")

    employee.get(answer.json()["sign_in_uri"], **VISIT)
    assert heading(employee) == "Permissions requested"
    employee.submit("accept")

    assert employee.page.url == f"{employee.app_url}/token_details"
    assert employee.get("/profile.json", **SCRIPT).json() == {"scopes": "ey"}


def test_a_script_whose_user_has_just_done_what_it_needs_gets_a_403(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims())
    user.get(user.get(PAGE, **SCRIPT).json()["sign_in_uri"], **VISIT)

    answers = [user.get(PAGE, **SCRIPT) for _ in range(2)]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(403, NOT_ALLOWED)] * 2
    assert len(tenant.seen("authorize")) == 1


def test_the_address_that_a_script_gets_stops_a_loop(user: Browser, tenant: Tenant) -> None:
    tenant.revoke_tokens()
    uri = user.get(PAGE, **SCRIPT).json()["sign_in_uri"]

    statuses = [user.get(uri, follow=False, **VISIT).status_code for _ in range(6)]

    assert statuses == [302] * 5 + [400]
    assert heading(user) == "Signing in has no effect"


@pytest.mark.parametrize("need", ["", "x", "A" * 80])
def test_an_address_with_a_need_that_is_not_ours_leads_to_a_plain_sign_in(
    browser: Browser, need: str
) -> None:
    browser.get(f"/login?need={need}&next=/token_details", follow=False, **VISIT)

    assert browser.page.status_code == 302
    assert "claims" not in parameters(browser.location)
