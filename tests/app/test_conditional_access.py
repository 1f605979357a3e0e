"""Conditional Access: what the token endpoint or the web API wants, the user is asked for once."""

import base64
import json
from typing import Any

import pytest

from tests.helpers.browser import Browser, Document, parameters
from tests.helpers.tenant import Tenant

CLAIMS = '{"access_token":{"capolids":{"essential":true,"values":["the-policy"]}}}'
PAGE = "/call_downstream_api"
NOT_ALLOWED = "The sign-in service does not allow this"
INTERACTION_REQUIRED = {
    "status": 400,
    "content_type": "application/json",
    "body": {"error": "interaction_required", "error_description": "MFA is required.", "claims": CLAIMS},
}


def insufficient_claims(claims: str = CLAIMS) -> dict[str, Any]:
    """An API's 401 that asks for these claims."""
    encoded = base64.b64encode(claims.encode()).decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
    return {"status": 401, "headers": {"WWW-Authenticate": challenge}}


def claims_sent(uri: str) -> Any:
    """The `claims` of an authorization request."""
    return json.loads(parameters(uri)["claims"])


@pytest.fixture
def user(browser: Browser, tenant: Tenant) -> Browser:
    """Somebody signed in, whose access tokens end so soon that each call refreshes them."""
    tenant.option(access_token_lifetime=60)
    browser.sign_in()
    tenant.forget_requests()
    return browser


def test_what_the_token_endpoint_wants_is_asked_for_once(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 1})

    user.get(PAGE)

    assert user.page.status_code == 200
    assert user.page.url == f"{user.app_url}{PAGE}"
    [request] = tenant.seen("authorize")
    assert json.loads(request["query"]["claims"][0]) == json.loads(CLAIMS)


def test_a_second_refusal_of_the_token_endpoint_ends_on_a_page(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(token=INTERACTION_REQUIRED)

    user.get(PAGE)

    assert user.page.status_code == 403
    assert Document(user.page.text).heading == NOT_ALLOWED
    assert len(tenant.seen("authorize")) == 1


def test_a_code_that_needs_more_claims_leads_to_the_provider_once_more(
    browser: Browser, tenant: Tenant
) -> None:
    url = browser.callback_url()
    tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 1})

    browser.get(url, follow=False)
    assert claims_sent(browser.location) == json.loads(CLAIMS)
    browser.get(browser.location)

    assert browser.signed_in_as() == "Ada Lovelace"


def test_what_the_api_wants_comes_with_a_new_token_if_that_is_enough(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims() | {"times": 1})

    user.get(PAGE)

    assert user.page.status_code == 200
    assert tenant.seen("authorize") == []
    assert len(tenant.seen("api")) == 2
    [*_, refresh] = tenant.seen("token")
    assert json.loads(refresh["form"]["claims"][0]) == json.loads(CLAIMS)


def test_what_the_api_wants_is_asked_for_once(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims() | {"times": 2})

    user.get(PAGE, follow=False)
    assert claims_sent(user.location) == json.loads(CLAIMS)
    user.get(user.location)

    assert user.page.status_code == 200
    assert user.page.url == f"{user.app_url}{PAGE}"


def test_a_second_refusal_of_the_api_ends_on_a_page(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims())

    user.get(PAGE)

    assert user.page.status_code == 403
    assert Document(user.page.text).heading == NOT_ALLOWED
    assert len(tenant.seen("authorize")) == 1


def test_an_api_that_asks_for_other_claims_each_time_makes_no_loop(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims())
    user.get(PAGE, follow=False)
    tenant.misbehave(api=insufficient_claims('{"access_token":{"nbf":{"essential":true,"value":"17"}}}'))

    user.get(user.location)

    assert Document(user.page.text).heading == NOT_ALLOWED


def test_after_a_call_that_worked_the_next_refusal_is_a_new_one(user: Browser, tenant: Tenant) -> None:
    for _ in range(2):
        tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 1})
        user.get(PAGE)

        assert user.page.status_code == 200


def test_a_cancelled_sign_in_does_not_count_as_a_refusal(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 1})
    user.get(PAGE, follow=False)
    callback = f"{user.app_url}/getAToken"
    state = parameters(user.location)["state"]
    user.get(f"{callback}?error=access_denied&error_description=AADB2C90091: no&state={state}")
    tenant.misbehave(token=INTERACTION_REQUIRED | {"times": 1})

    user.get(PAGE)

    assert user.page.status_code == 200


def test_a_script_is_told_to_send_the_user_to_sign_in(user: Browser, tenant: Tenant) -> None:
    tenant.misbehave(api=insufficient_claims())

    page = f"{user.app_url}/token_details"
    answer = user.get(PAGE, Sec_Fetch_Mode="cors", Sec_Fetch_Site="same-origin", Referer=page)

    assert answer.status_code == 401
    assert parameters(answer.json()["sign_in_uri"])["next"] == "/token_details"
    assert tenant.seen("authorize") == []
