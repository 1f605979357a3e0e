"""What comes back from an authorization request: response types and modes, prompt, max_age and hints."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import EntraVisitor, Visitor, claims, error_code, parameters

IMPLICIT = {"id_tokens": True, "access_tokens": True}


@pytest.fixture
def implicit(visitor: Visitor) -> Iterator[Visitor]:
    """A visitor from an app that may use the implicit and the hybrid flow."""
    allow(visitor, **IMPLICIT)
    yield visitor
    allow(visitor, id_tokens=False, access_tokens=False)


def allow(visitor: Visitor, **boxes: bool) -> None:
    visitor.control("PATCH", f"apps/{visitor.tenant.settings['CLIENT_ID']}", boxes)


def half_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


# --- Response types


@pytest.mark.parametrize(
    ("response_type", "names"),
    [
        ("id_token", ["id_token"]),
        ("token", ["access_token", "token_type", "expires_in", "scope"]),
        ("code id_token", ["code", "id_token"]),
        ("id_token token", ["access_token", "token_type", "expires_in", "scope", "id_token"]),
        ("code token", ["code", "access_token", "token_type", "expires_in", "scope"]),
        (
            "token id_token code",
            ["code", "access_token", "token_type", "expires_in", "scope", "id_token"],
        ),
    ],
)
def test_response_type_brings_what_it_names_in_the_fragment(
    implicit: Visitor, response_type: str, names: list[str]
) -> None:
    answer = implicit.sign_in(response_type=response_type)
    assert urlsplit(answer.headers["Location"]).query == ""
    assert list(parameters(answer)) == ["state", *names]


def test_id_token_has_the_hashes_of_what_comes_with_it(implicit: Visitor) -> None:
    sent = parameters(implicit.sign_in(response_type="code id_token token"))
    id_token = claims(sent["id_token"])
    assert (id_token["nonce"], id_token["c_hash"], id_token["at_hash"]) == (
        "some-nonce",
        half_hash(sent["code"]),
        half_hash(sent["access_token"]),
    )
    assert implicit.call_api(sent["access_token"]).ok
    assert "c_hash" not in claims(implicit.redeem(sent["code"]).json()["id_token"])


@pytest.mark.parametrize(
    ("boxes", "response_type"),
    [
        ({"id_tokens": False, "access_tokens": True}, "code id_token"),
        ({"id_tokens": True, "access_tokens": False}, "token"),
    ],
)
def test_response_type_that_the_registration_does_not_allow(
    implicit: Visitor, boxes: dict[str, bool], response_type: str
) -> None:
    allow(implicit, **boxes)
    answer = implicit.authorize(response_type=response_type)
    assert urlsplit(answer.headers["Location"]).fragment
    assert error_code(answer) == ("unauthorized_client", "AADB2C90057")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"response_mode": "query"}, "AADB2C90014", id="tokens in a query"),
        pytest.param({"nonce": None}, "AADB2C90083", id="no nonce"),
        pytest.param({"scope": "openid", "response_type": "token"}, "AADB2C90055", id="no API"),
        pytest.param({"scope": "profile"}, "AADB2C90110", id="no openid"),
        pytest.param({"scope": "profile", "response_type": "code"}, "AADB2C90115", id="nothing to issue"),
        pytest.param({"max_age": "soon"}, "AADB2C90120", id="max_age"),
    ],
)
def test_wrong_request(implicit: Visitor, changes: dict[str, Any], code: str) -> None:
    answer = implicit.authorize(**{"response_type": "id_token", **changes})
    assert error_code(answer) == ("invalid_request", code)
    assert parameters(answer)["state"] == "some-state"


def test_tokens_can_come_in_a_form(implicit: Visitor) -> None:
    page = implicit.sign_in(response_type="code id_token", response_mode="form_post")
    assert f'action="{REDIRECT_URI}"' in page.text
    assert re.findall(r'type="hidden" name="(\w+)"', page.text) == ["state", "code", "id_token"]


def test_errors_can_come_in_a_form(implicit: Visitor) -> None:
    page = implicit.authorize(response_type="id_token", response_mode="form_post", prompt="none")
    assert re.findall(r'type="hidden" name="(\w+)"', page.text) == ["error", "error_description", "state"]


def test_form_runs_only_the_tenants_own_script(implicit: Visitor) -> None:
    page = implicit.sign_in(response_mode="form_post")
    policy = page.headers["Content-Security-Policy"]
    assert re.findall('<script[^>]* src="(/[^"]+)"', page.text)[-1] == "/static/form_post.js"
    assert ("script-src 'self'" in policy, "form-action" in policy) == (True, False)
    assert not re.search("<script[^>]*>[^<]", page.text)


def test_entra_id_announces_and_brings_hybrid_responses(entra_visitor: EntraVisitor) -> None:
    allow(entra_visitor, **IMPLICIT)
    sent = parameters(entra_visitor.sign_in(response_type="code id_token", scope="openid User.Read"))
    assert claims(sent["id_token"])["c_hash"] == half_hash(sent["code"])
    answer = entra_visitor.authorize(response_type="token")
    assert error_code(answer) == ("unsupported_response_type", "AADSTS70005")


# --- max_age and hints


def test_session_older_than_max_age_is_not_used(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.move_clock(1000)
    assert "code" in parameters(visitor.authorize(max_age="1001"))
    assert 'id="password"' in visitor.authorize(max_age="999").text
    answer = visitor.authorize(max_age="999", prompt="none")
    assert error_code(answer) == ("interaction_required", "AADB2C90121")
    code = parameters(visitor.sign_in(max_age="0"))["code"]
    assert claims(visitor.redeem(code).json()["id_token"])["auth_time"] > visitor_time(visitor) - 100


def visitor_time(visitor: Visitor) -> float:
    return float(visitor.control("GET", "clock")["now"])


def test_login_hint_fills_in_the_email_address(visitor: Visitor) -> None:
    assert 'value="grace@example.com"' in visitor.authorize(login_hint="grace@example.com").text


def test_b2c_goes_on_with_a_session_whatever_the_login_hint(visitor: Visitor) -> None:
    visitor.sign_in()
    assert "code" in parameters(visitor.authorize(login_hint="grace@example.com"))


def test_entra_id_does_not_go_on_with_the_session_of_another_account(entra_visitor: EntraVisitor) -> None:
    code = parameters(entra_visitor.sign_in(scope="openid User.Read"))["code"]
    hint = claims(entra_visitor.redeem(code).json()["id_token"])["login_hint"]
    assert "code" in parameters(entra_visitor.authorize(prompt="none", login_hint=hint))
    answer = entra_visitor.authorize(prompt="none", login_hint="grace@example.com")
    assert error_code(answer) == ("login_required", "AADSTS50058")


def test_entra_id_tells_auth_time_when_max_age_is_asked(entra_visitor: EntraVisitor) -> None:
    code = parameters(entra_visitor.sign_in(scope="openid", max_age="600"))["code"]
    assert "auth_time" in claims(entra_visitor.redeem(code).json()["id_token"])
