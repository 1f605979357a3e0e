"""The root page, which a developer copies values from, and reads what was wrong with requests."""

import html
import json
import re
from collections.abc import Iterator

import pytest
import requests

from local_tenant import LocalTenant
from local_tenant.authorities import KINDS
from tests.local_tenant.visitor import Visitor, parameters

CALLBACK = "http://localhost:3000/auth/callback"
ADVICE = "Register this redirect URI, exactly as the app sends it."


@pytest.fixture(scope="module", params=KINDS)
def visitor_of_kind(request: pytest.FixtureRequest) -> Iterator[Visitor]:
    with LocalTenant(kind=request.param) as running:
        visitor = Visitor(running)
        yield visitor
        visitor.close()


def root_page(visitor: Visitor) -> str:
    return visitor.get(f"{visitor.tenant.url}/").text


def copied(page: str, name: str) -> list[str]:
    """The values that the copy buttons of this name copy."""
    found = re.findall(rf'<code data-copy="{name}">(.*?)</code>', page, re.DOTALL)
    return [html.unescape(value) for value in found]


def send_form(visitor: Visitor, path: str, origin: str = "", **fields: str) -> requests.Response:
    return visitor.http.post(
        f"{visitor.tenant.url}{path}",
        data=fields,
        headers={"Origin": origin or visitor.tenant.url},
        allow_redirects=False,
        timeout=10,
    )


def test_the_page_has_what_an_app_needs(visitor_of_kind: Visitor) -> None:
    tenant, page = visitor_of_kind.tenant, root_page(visitor_of_kind)

    assert copied(page, "client ID of web-app") == [tenant.settings["CLIENT_ID"]]
    assert copied(page, "client secret of web-app") == [tenant.settings["CLIENT_SECRET"]]
    assert copied(page, f"password of {tenant.account['email']}") == [tenant.account["password"]]
    assert copied(page, "path of the CA file") == [tenant.ca_certificate]
    assert tenant.api_url in page
    assert set(tenant.tasks_scope.split()) <= set(copied(page, "scope .*?"))


def test_each_metadata_url_on_the_page_answers(visitor_of_kind: Visitor) -> None:
    urls = copied(root_page(visitor_of_kind), "metadata URL of .*?")

    assert urls
    assert {visitor_of_kind.get(url).json()["jwks_uri"] != "" for url in urls} == {True}


def test_the_snippets_are_what_their_libraries_read(
    visitor_of_kind: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, python = root_page(visitor_of_kind), dict[str, dict[str, str]]()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", visitor_of_kind.tenant.ca_bundle)
    exec(copied(page, "MSAL Python")[0], python)  # noqa: S102 - it is ours
    settings = json.loads(copied(page, ".NET, Microsoft.Identity.Web")[0])

    assert python["flow"]["auth_uri"].startswith(visitor_of_kind.tenant.url)
    assert settings.keys() & {"AzureAd", "AzureAdB2C"}


def test_a_refused_request_is_shown_with_its_error_and_can_be_put_right(visitor: Visitor) -> None:
    visitor.authorize(redirect_uri=CALLBACK)
    page = root_page(visitor)

    assert "redirect_uri_mismatch" in page
    assert "AADB2C90006: The redirect URI" in page
    assert ADVICE in page

    client_id = visitor.tenant.settings["CLIENT_ID"]
    answer = send_form(visitor, "/redirect-uris", client_id=client_id, redirect_uri=CALLBACK)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/#{client_id}")
    assert parameters(visitor.sign_in(redirect_uri=CALLBACK)).keys() == {"state", "code"}


@pytest.mark.parametrize("path", ["/redirect-uris", "/requests/forget"])
def test_a_form_of_another_site_is_refused(visitor: Visitor, path: str) -> None:
    client_id = visitor.tenant.settings["CLIENT_ID"]
    fields = {"client_id": client_id, "redirect_uri": "https://evil.example/"}

    assert send_form(visitor, path, origin="https://evil.example", **fields).status_code == 403
    assert "https://evil.example/" not in root_page(visitor)


@pytest.mark.parametrize("text", ["localhost:3000", "/auth", "http://", "https://a.example/#b", "a b:c"])
def test_what_is_no_redirect_uri_is_refused_at_its_field(visitor: Visitor, text: str) -> None:
    fields = {"client_id": visitor.tenant.settings["CLIENT_ID"], "redirect_uri": text}
    answer = send_form(visitor, "/redirect-uris", **fields)

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text


def test_the_requests_can_be_forgotten(visitor: Visitor) -> None:
    visitor.authorize()
    send_form(visitor, "/requests/forget")

    assert visitor.control("GET", "requests") == []
    assert "No requests yet." in root_page(visitor)


def test_the_record_says_what_was_wrong(visitor: Visitor) -> None:
    visitor.control("DELETE", "requests")
    visitor.redeem("no-code", client_secret=None)
    visitor.call_api("no.token.here")
    token, api = visitor.control("GET", "requests")

    assert (token["error"], token["error_code"]) == ("invalid_request", "AADB2C90079")
    assert token["error_description"].startswith("AADB2C90079: Clients must send a client_secret")
    assert api["error"] == "invalid_token"
    assert api["error_description"] == "No published key of the tenant has signed the access token."


def test_the_control_api_is_off_unless_asked_for_and_the_root_page_says_so() -> None:
    with LocalTenant(control=False) as tenant:
        answers = [
            requests.request(method, f"{tenant.url}{path}", timeout=10, allow_redirects=False)
            for method, path in [
                ("GET", "/control/faults"),
                ("PATCH", "/control/faults"),
                ("GET", "/control"),
            ]
        ]
        root_page = requests.get(tenant.url, timeout=10).text

    assert "It is off." in root_page
    for answer in answers:
        assert answer.status_code == 404
        assert answer.text.startswith("The control API is off. Start the tenant with --control")


def test_a_password_that_somebody_chose_is_not_shown(visitor: Visitor, account: dict[str, str]) -> None:
    page = root_page(visitor)

    assert account["email"] in page
    assert account["password"] not in page
