"""How far a session at the tenant reaches, and which sign-out ends it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.local_tenant.conftest import REDIRECT_URI
from tests.local_tenant.visitor import EDIT, SECONDS, SIGN_IN, Visitor, parameters

RETURN_ADDRESS, OTHER_SITE = "http://localhost:1234/bye", "http://localhost:1234"


@pytest.fixture(autouse=True)
def default_scope(visitor: Visitor) -> Iterator[None]:
    yield
    change_user_flow(visitor, single_sign_on="tenant", require_id_token_hint=False)


def change_user_flow(visitor: Visitor, **changes: Any) -> None:
    visitor.control("PATCH", f"user-flows/{SIGN_IN}", changes)


def sign_out(visitor: Visitor, user_flow: str = SIGN_IN, **sent: str) -> requests.Response:
    return visitor.get(visitor.page_url("oauth2/v2.0/logout", user_flow), **sent)


def has_session(visitor: Visitor, user_flow: str = SIGN_IN, **changes: Any) -> bool:
    return "code" in parameters(visitor.authorize(user_flow, prompt="none", **changes))


@pytest.mark.parametrize("sent", [{}, {"post_logout_redirect_uri": RETURN_ADDRESS}])
def test_sign_out_that_does_not_name_the_app_ends_the_tenants_session(
    visitor: Visitor, sent: dict[str, str]
) -> None:
    visitor.sign_in()
    assert sign_out(visitor, **sent).headers.get("Location") == sent.get("post_logout_redirect_uri")
    assert not has_session(visitor)


def test_sign_out_by_post_ends_the_session_as_well(visitor: Visitor) -> None:
    visitor.sign_in()
    url, sent = visitor.page_url("oauth2/v2.0/logout"), {"post_logout_redirect_uri": RETURN_ADDRESS}
    seen = visitor.http.post(
        url, sent, headers={"Origin": OTHER_SITE}, allow_redirects=False, timeout=SECONDS
    )
    assert visitor.get(urljoin(url, seen.headers["Location"])).headers["Location"] == RETURN_ADDRESS
    assert not has_session(visitor)


def test_state_comes_back_in_front_of_a_fragment(visitor: Visitor) -> None:
    answer = sign_out(visitor, post_logout_redirect_uri=f"{RETURN_ADDRESS}#top", state="s")
    assert answer.headers["Location"] == f"{RETURN_ADDRESS}?state=s#top"


@pytest.mark.parametrize("port", ["99999", "-1", "abc"])
def test_sign_out_leads_to_no_address_with_an_impossible_port(visitor: Visitor, port: str) -> None:
    answer = sign_out(visitor, post_logout_redirect_uri=f"http://localhost:{port}/")
    assert (answer.status_code, "AADB2C90067" in answer.text) == (400, True)


def test_session_of_one_app_is_not_anothers(visitor: Visitor) -> None:
    change_user_flow(visitor, single_sign_on="application")
    visitor.sign_in()
    native = {"client_id": visitor.app("native")["client_id"], "redirect_uri": "http://localhost"}
    assert (has_session(visitor), has_session(visitor, **native)) == (True, False)


@pytest.mark.parametrize("named_by", ["", "client_id", "id_token_hint"])
def test_session_of_one_app_ends_when_its_sign_out_says_so(visitor: Visitor, named_by: str) -> None:
    change_user_flow(visitor, single_sign_on="application")
    names = {"client_id": visitor.tenant.settings["CLIENT_ID"], "id_token_hint": visitor.tokens()["id_token"]}
    sign_out(visitor, **{named_by: names[named_by]} if named_by else {})
    assert has_session(visitor) == (not named_by)


def test_session_of_one_user_flow_outlives_the_sign_out_of_another(visitor: Visitor) -> None:
    change_user_flow(visitor, single_sign_on="user_flow")
    visitor.sign_in()
    sign_out(visitor, EDIT)
    assert has_session(visitor)
    sign_out(visitor)
    assert not has_session(visitor)


def test_without_single_sign_on_each_sign_in_asks(visitor: Visitor) -> None:
    change_user_flow(visitor, single_sign_on="disabled")
    assert visitor.sign_in().is_redirect
    assert not has_session(visitor)


def test_user_flow_can_require_an_id_token_hint(visitor: Visitor) -> None:
    change_user_flow(visitor, require_id_token_hint=True)
    hint = visitor.tokens()["id_token"]
    assert "AADB2C90272" in sign_out(visitor).text
    assert sign_out(visitor, post_logout_redirect_uri=REDIRECT_URI, id_token_hint=hint).is_redirect
