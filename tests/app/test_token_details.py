"""The page of the ID token's claims, whatever their values."""

import re
from typing import Any

import pytest

from tests.helpers.browser import (
    Browser,
)
from tests.helpers.tenant import Tenant

MARKUP = "<script>alert(1)</script>"


def test_token_details_shows_claims_with_readable_times_and_no_token(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in().get("/token_details")

    assert tenant.account["sub"] in browser.text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", browser.text)
    assert "eyJ" not in browser.page.text


def test_token_details_needs_sign_in(browser: Browser) -> None:
    browser.get("/token_details")

    assert browser.page.status_code == 401
    assert "Sign in" in browser.text


def test_times_are_marked_up_as_dates(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(id_token={"set": {"auth_time": 1_700_000_000}})
    browser.sign_in().get("/token_details")

    assert '<time datetime="2023-11-14T22:13:20Z">2023-11-14 22:13:20 UTC</time>' in browser.page.text


def test_markup_in_a_claim_is_shown_and_not_obeyed(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(id_token={"set": {"city": MARKUP, "extension_odd": {"deep": [MARKUP]}}})
    browser.sign_in().get("/token_details")

    assert f"city {MARKUP} City" in browser.text
    assert MARKUP not in browser.page.text


def test_an_unknown_claim_is_said_to_be_the_providers_own(browser: Browser, tenant: Tenant) -> None:
    tenant.misbehave(id_token={"set": {"extension_Level": "gold"}})
    browser.sign_in().get("/token_details")

    assert "extension_Level gold A claim that this provider defines" in browser.text


def test_claims_about_the_user_come_before_those_about_the_token(browser: Browser) -> None:
    browser.sign_in().get("/token_details")
    claims = re.findall(r'role="rowheader"><code>(\w+)', browser.page.text)

    assert claims.index("name") < claims.index("exp")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(["<script>alert(1)</script>"], id="a list"),
        pytest.param({"<script>": "<script>"}, id="an object"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="null"),
        pytest.param('"><script>alert(1)</script>', id="markup"),
        pytest.param("{{ 7*7 }}", id="a template"),
        pytest.param("x" * 20_000, id="huge"),
        pytest.param("\u202e\x00\r\n", id="control characters"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param(["a\ud800b"], id="a lone surrogate in a list"),
        pytest.param({"\ud800": {"\udfff": 1}}, id="lone surrogates in an object"),
    ],
)
def test_any_value_of_a_claim_is_shown_as_text(browser: Browser, tenant: Tenant, value: Any) -> None:
    names = ("name", "given_name", "family_name", "email", "emails", "idp", "auth_time", "extension_x")
    tenant.misbehave(id_token={"set": dict.fromkeys(names, value)})

    browser.sign_in()
    home, details = browser.get("/"), browser.get("/token_details")

    assert [home.status_code, details.status_code] == [200, 200]
    assert browser.get("/call_downstream_api").status_code == 200
    assert "<script>" not in home.text + details.text
    assert "Welcome, 49" not in home.text
    assert "Sign out" in home.text


@pytest.mark.parametrize(
    "claim, value",
    [
        pytest.param("exp", 10**20, id="exp after the sun"),
        pytest.param("exp", 10**300, id="exp beyond any float"),
        pytest.param("auth_time", 10**20, id="auth_time after the sun"),
        pytest.param("auth_time", -(10**20), id="auth_time before the sun"),
        pytest.param("auth_time", True, id="auth_time is true"),
        pytest.param("auth_time", 1.5, id="auth_time is a fraction"),
    ],
)
def test_a_time_beyond_the_calendar_is_shown_all_the_same(
    browser: Browser, tenant: Tenant, claim: Any, value: Any
) -> None:
    tenant.misbehave(id_token={"set": {claim: value}})

    browser.sign_in().get("/token_details")

    assert browser.page.status_code == 200
    assert claim in browser.text
