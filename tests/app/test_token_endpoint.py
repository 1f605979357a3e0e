"""Answers of the token endpoint when a code is redeemed."""

import json
import re
from typing import Any

import pytest

from tests.helpers.app import failures
from tests.helpers.browser import Browser, assert_page, parameters
from tests.helpers.engine import wait_at_most
from tests.helpers.tenant import Fault, Tenant

JSON = "application/json"

TOKEN_ANSWERS = [
    pytest.param({"status": 400, "body": {"error": "invalid_grant"}}, 401, id="400 invalid_grant"),
    pytest.param({"status": 400, "body": {"error": "invalid_client"}}, 502, id="400 invalid_client"),
    pytest.param({"status": 400, "body": {}}, 502, id="400 with an empty object"),
    pytest.param({"status": 400, "body": "<html>"}, 503, id="400 HTML"),
    pytest.param({"status": 400, "body": {"error": ["x"]}}, 502, id="400 error is a list"),
    pytest.param(
        {"status": 400, "body": {"error": "invalid_grant", "error_description": {"a": [1]}}},
        401,
        id="400 description is an object",
    ),
    pytest.param({"status": 429}, 503, id="429"),
    pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, 503, id="429 Retry-After"),
    pytest.param({"status": 429, "headers": {"Retry-After": "soon"}}, 503, id="429 Retry-After is a word"),
    pytest.param({"status": 429, "headers": {"Retry-After": "9" * 30}}, 503, id="429 Retry-After is huge"),
    pytest.param({"status": 500, "body": {"error": "server_error"}}, 503, id="500 JSON"),
    pytest.param({"status": 503, "body": "<html>Later</html>"}, 503, id="503 HTML"),
    pytest.param({"status": 302, "headers": {"Location": "https://evil.example/"}}, 503, id="redirect"),
    pytest.param({"status": 200, "body": "<html>Hello</html>"}, 503, id="200 HTML"),
    pytest.param({"status": 200, "body": ""}, 503, id="200 empty"),
    pytest.param({"status": 204}, 503, id="204"),
    pytest.param({"status": 200, "body": "[]"}, 503, id="200 list"),
    pytest.param({"status": 200, "body": "{}"}, 502, id="200 empty object"),
    pytest.param({"status": 200, "body": '{"access_token": "eyJ0'}, 503, id="200 truncated JSON"),
    pytest.param({"status": 200, "body": "[" * 200_000}, 503, id="200 deeply nested"),
    pytest.param({"status": 200, "body": " " * 1_500_000 + "{}"}, 503, id="200 larger than a megabyte"),
    pytest.param({"drop": ["id_token"]}, 502, id="200 without id_token"),
    pytest.param({"set": {"id_token": "abc"}}, 502, id="id_token is no token"),
    pytest.param({"set": {"id_token": 7}}, 502, id="id_token is a number"),
    pytest.param({"set": {"expires_in": "x"}}, 502, id="expires_in is a word"),
    pytest.param({"set": {"expires_in": []}}, 502, id="expires_in is a list"),
    pytest.param({"set": {"expires_in": float("inf")}}, 502, id="expires_in is infinite"),
    pytest.param({"set": {"client_info": 1}}, 502, id="client_info is a number"),
    pytest.param({"set": {"client_info": "!"}}, 502, id="client_info is garbage"),
    pytest.param({"set": {"scope": ["a"]}}, 502, id="scope is a list"),
    pytest.param({"reset": True}, 503, id="connection reset"),
]


@pytest.mark.parametrize("fault, status", TOKEN_ANSWERS)
def test_a_token_endpoint_that_answers_wrongly_ends_on_a_page(
    browser: Browser, tenant: Tenant, caplog: pytest.LogCaptureFixture, warm: None, fault: Fault, status: int
) -> None:
    if not isinstance(fault.get("body", ""), str):
        fault = fault | {"content_type": JSON}
    url = browser.callback_url()
    code = parameters(url)["code"]
    caplog.clear()
    tenant.misbehave(token=fault)

    answer = browser.get(url, follow=False)

    assert_page(answer, status)
    assert len(tenant.seen("token")) == 1
    assert browser.session_id is None
    [line] = failures(caplog)
    assert "Traceback" not in caplog.text
    for secret in (code[:100], tenant.settings["CLIENT_SECRET"], "eyJ0"):
        assert secret not in caplog.text + answer.text
    [reference] = re.findall(r"Reference: ([0-9a-f-]{36})", browser.text)
    assert reference in line
    assert browser.signed_in_as() is None


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"access_token": 7}, id="access_token is a number"),
        pytest.param({"access_token": "x\r\ny"}, id="access_token with a line break"),
        pytest.param({"access_token": "\u20ac"}, id="access_token is not ASCII"),
        pytest.param({"refresh_token": 7}, id="refresh_token is a number"),
        pytest.param({"token_type": None}, id="token_type is null"),
        pytest.param({"token_type": "bearer"}, id="token_type in lower case"),
        pytest.param({"expires_in": "3600"}, id="expires_in is text"),
        pytest.param({"expires_in": -5}, id="expires_in is negative"),
        pytest.param({"expires_in": 10**30}, id="expires_in is huge"),
        pytest.param({"expires_on": "x", "not_before": []}, id="B2C's own times are garbage"),
        pytest.param({"client_info": ""}, id="client_info is empty"),
        pytest.param({"client_info": "W10"}, id="client_info is a list"),
        pytest.param({"client_info": "e30"}, id="client_info is an empty object"),
        pytest.param({"scope": ""}, id="scope is empty"),
        pytest.param({"refresh_in": "x"}, id="refresh_in is a word"),
        pytest.param({"expires_in": 10**400}, id="expires_in is beyond any float"),
        pytest.param({"refresh_token": "\ud800", "scope": "\ud800"}, id="lone surrogates"),
        pytest.param({"foci": ["1"]}, id="foci is a list"),
        pytest.param({"id_token_expires_in": "x", "unknown": {"a": []}}, id="unknown members"),
    ],
)
def test_odd_members_of_a_token_response_never_break_a_page(
    browser: Browser, tenant: Tenant, warm: None, members: dict[str, Any]
) -> None:
    tenant.misbehave(token={"set": members})

    statuses = [browser.sign_in().page.status_code]
    statuses += [browser.get(path).status_code for path in ("/", "/call_downstream_api", "/token_details")]
    statuses.append(browser.post("/logout", follow=False).status_code)

    assert 500 not in statuses


@pytest.mark.parametrize("dropped", ["access_token", "refresh_token", "client_info", "expires_in", "scope"])
def test_a_token_response_may_lack_what_signing_in_does_not_need(
    browser: Browser, tenant: Tenant, dropped: str
) -> None:
    tenant.misbehave(token={"drop": [dropped]})

    browser.sign_in()

    assert browser.signed_in_as() == "Ada Lovelace"
    assert browser.get("/call_downstream_api").status_code != 500


def test_retry_after_is_passed_on(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(token={"status": 429, "headers": {"Retry-After": "7"}})

    browser.sign_in()

    assert browser.page.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 429}, id="429"),
        pytest.param({"status": 429, "headers": {"Retry-After": "3600"}}, id="429 for an hour"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 400, "body": {"error": "invalid_grant"}, "content_type": JSON}, id="400"),
        pytest.param({"reset": True}, id="reset"),
    ],
)
def test_a_refused_token_request_affects_no_other_user(
    browser: Browser, other: Browser, tenant: Tenant, fault: Fault
) -> None:
    tenant.misbehave(token=fault | {"times": 1})

    first = browser.sign_in().page.status_code
    second = other.sign_in().page.status_code
    again = browser.sign_in().page.status_code

    assert first in (401, 503)
    assert (second, again) == (200, 200)
    assert other.signed_in_as() == browser.signed_in_as() == "Ada Lovelace"


def test_a_token_endpoint_over_the_time_limit_ends_on_a_page(
    browser: Browser, tenant: Tenant, warm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = browser.callback_url()
    wait_at_most(monkeypatch, 0.3)
    tenant.misbehave(token={"hold": "for too long"})

    answer = browser.get(url, follow=False)

    assert_page(answer, 503)
    assert answer.elapsed.total_seconds() < 2
    assert answer.headers["Retry-After"]
    assert browser.signed_in_as() is None


def test_the_secret_goes_to_the_token_endpoint_alone_and_in_the_body(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in().get("/call_downstream_api")
    browser.post("/logout")

    secret = tenant.settings["CLIENT_SECRET"]
    holders = [seen for seen in tenant.all_seen() if secret in json.dumps(seen)]
    assert {seen["endpoint"] for seen in holders} == {"token"}
    assert {tuple(seen["form"]["client_secret"]) for seen in holders} == {(secret,)}
    assert not any(secret in json.dumps(seen["query"]) for seen in holders)
    assert {grant for seen in tenant.seen("token") for grant in seen["form"]["grant_type"]} <= {
        "authorization_code",
        "refresh_token",
    }
