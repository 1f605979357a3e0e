"""The tenant's metadata and signing keys: which are believed, and how often they are fetched."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from local_tenant import LocalTenant
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser
from tests.helpers.outcomes import REFUSED, SIGNED_IN, assert_outcome
from tests.helpers.tenant import Fault, Tenant
from tests.helpers.waiting import clock_at


def test_oidcc_client_test_kid_absent_multiple_jwks(newcomer: Browser, fickle: Tenant) -> None:
    fickle.option(keys=2)
    fickle.misbehave(id_token={"kid": "absent"})

    newcomer.sign_in()

    assert_outcome(newcomer, REFUSED)


def test_a_key_is_found_among_several(newcomer: Browser, fickle: Tenant) -> None:
    fickle.option(keys=2)

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)


def test_oidcc_client_test_discovery_openid_config(newcomer: Browser, fickle: Tenant) -> None:
    """The endpoints are the metadata's: here the authorization endpoint has moved to the older address."""
    moved = f"{fickle.url}/localtenant.onmicrosoft.com/oauth2/v2.0/authorize?p=B2C_1_signupsignin1"
    fickle.misbehave(discovery={"set": {"authorization_endpoint": moved}})

    newcomer.get("/login", follow=False)

    location = urlsplit(newcomer.location)
    assert location.path == "/localtenant.onmicrosoft.com/oauth2/v2.0/authorize"


def test_oidcc_client_test_discovery_jwks_uri_keys(newcomer: Browser, fickle: Tenant) -> None:
    moved = f"{fickle.tls_url}/localtenant.onmicrosoft.com/discovery/v2.0/keys?p=b2c_1_passwordreset1"
    fickle.misbehave(discovery={"set": {"jwks_uri": moved}})

    newcomer.sign_in()

    assert_outcome(newcomer, SIGNED_IN)
    [keys] = fickle.seen("keys")
    assert keys["query"] == {"p": ["b2c_1_passwordreset1"]}


def test_oidcc_client_test_signing_key_rotation_just_before_signing(
    new_app: RunningApp, newcomer: Browser, fickle: Tenant
) -> None:
    with Browser(new_app.url, fickle) as earlier:
        earlier.sign_in()
    callback = newcomer.callback_url()
    fickle.control("POST", "rotate-keys", keep_old=False)

    newcomer.get(callback)

    assert_outcome(newcomer, SIGNED_IN)


@pytest.mark.parametrize("keep_old", [True, False], ids=["old key stays", "old key goes"])
def test_oidcc_client_test_signing_key_rotation(new_app: RunningApp, fickle: Tenant, keep_old: bool) -> None:
    for _ in range(3):
        with Browser(new_app.url, fickle) as browser:
            browser.sign_in()
            assert_outcome(browser, SIGNED_IN)
        fickle.control("POST", "rotate-keys", keep_old=keep_old)


def test_unknown_key_ids_cause_few_requests_to_the_tenant(new_app: RunningApp, fickle: Tenant) -> None:
    fickle.misbehave(id_token={"kid": "unknown"})
    with Browser(new_app.url, fickle) as browser:
        statuses = {browser.sign_in().page.status_code for _ in range(15)}

    assert statuses == {502}
    assert len(fickle.seen("token")) == 15
    assert 2 <= len(fickle.seen("keys")) <= 6
    assert len(fickle.seen("discovery")) == 1


def foreign(name: str) -> Callable[[Tenant], dict[str, Any]]:
    return lambda tenant: {name: "https://evil.example/localtenant.onmicrosoft.com/x"}


def misleading(name: str, form: str) -> Callable[[Tenant], dict[str, Any]]:
    """An address that looks like the tenant's: `form` with its host and port filled in."""
    return lambda tenant: {name: form.format(port=urlsplit(tenant.tls_url).port)}


MISLEADING = {
    "a backslash before our host": r"https://evil.example\@127.0.0.1:{port}/x",
    "a backslash after another host": r"https://evil.example\.127.0.0.1:{port}/x",
    "somebody's name before our host": "https://somebody@127.0.0.1:{port}/x",
    "our host as a name": "https://127.0.0.1:{port}@evil.example/x",
    "another port": "https://127.0.0.1:1/x",
    "a blank in it": "https://127.0.0.1:{port}/x y",
}

METADATA = [
    *(
        pytest.param(misleading(name, form), id=f"{name} with {what}")
        for name in ("authorization_endpoint", "token_endpoint")  # one for the browser, one for the app
        for what, form in MISLEADING.items()
    ),
    *(
        pytest.param(
            misleading("authorization_endpoint", f"http://{host}/x"),
            id=f"authorization_endpoint without TLS on {host}",
        )
        for host in ("evil.example", "192.0.2.1", "127.0.0.1.evil.example", "somebody@127.0.0.1")
    ),
    pytest.param(foreign("issuer"), id="oidcc-client-test-discovery-issuer-mismatch"),
    pytest.param(
        lambda tenant: {"issuer": f"{tenant.tls_url}/{tenant.settings['B2C_TENANT_ID']}/v2.0/INVALID"},
        id="issuer with something appended",
    ),
    pytest.param(
        lambda tenant: {"issuer": f"{tenant.tls_url}/{uuid.uuid4()}/v2.0/"}, id="issuer of another tenant"
    ),
    pytest.param(
        lambda tenant: {
            "issuer": f"{tenant.tls_url}/{uuid.uuid4()}/v2.0/?/{tenant.settings['B2C_TENANT_ID']}"
        },
        id="issuer of another tenant that names ours in its query",
    ),
    pytest.param(foreign("authorization_endpoint"), id="foreign authorization_endpoint"),
    pytest.param(foreign("token_endpoint"), id="foreign token_endpoint"),
    pytest.param(foreign("jwks_uri"), id="foreign jwks_uri"),
    pytest.param(foreign("end_session_endpoint"), id="foreign end_session_endpoint"),
    pytest.param(
        misleading("end_session_endpoint", "http://evil.example/x"), id="end_session_endpoint without TLS"
    ),
    pytest.param(lambda tenant: {"token_endpoint": f"{tenant.url}/token"}, id="token_endpoint without TLS"),
    pytest.param(lambda tenant: {"jwks_uri": f"{tenant.url}/keys"}, id="jwks_uri without TLS"),
    pytest.param(
        lambda tenant: {"authorization_endpoint": "javascript://127.0.0.1/%0Aalert(1)"},
        id="authorization_endpoint that is a script",
    ),
    pytest.param(lambda tenant: {"issuer": "https://["}, id="issuer that is no URL"),
    pytest.param(lambda tenant: {"token_endpoint": "https://[::1"}, id="token_endpoint that is no URL"),
    pytest.param(lambda tenant: {"jwks_uri": 7}, id="jwks_uri is a number"),
    pytest.param(lambda tenant: {"token_endpoint": None}, id="token_endpoint is null"),
]


@pytest.fixture(scope="module")
def ever_new_app(serve_app: ServeApp, lone_tenant: LocalTenant) -> RunningApp:
    """An app that never meets metadata that it believes, and so keeps asking for it."""
    return serve_app(lone_tenant)


@pytest.fixture
def stranger(ever_new_app: RunningApp, lone_tenant: LocalTenant) -> Iterator[Browser]:
    """A browser at that app."""
    tenant = Tenant(lone_tenant)
    tenant.forget_requests()
    with Browser(ever_new_app.url, tenant) as browser:
        yield browser
    tenant.behave()


@pytest.mark.parametrize("members", METADATA)
def test_untrusted_metadata_is_refused_before_any_other_request(
    stranger: Browser, members: Callable[[Tenant], dict[str, Any]]
) -> None:
    tenant = stranger.tenant
    tenant.misbehave(discovery={"set": members(tenant)})

    stranger.get("/login", follow=False)

    assert stranger.page.status_code == 502
    assert "not set up correctly" in stranger.text
    assert [seen["endpoint"] for seen in tenant.all_seen()] == ["discovery"]
    assert not [name for name in stranger.cookies if name.startswith("signin_flow_")]


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_metadata_is_kept_when_it_cannot_be_fetched_again_the_next_day(
    newcomer: Browser, fickle: Tenant, status: int
) -> None:
    newcomer.sign_in()
    fickle.forget_requests()
    fickle.misbehave(discovery={"status": status})

    with clock_at(time.time() + 25 * 3600):
        newcomer.sign_in()

        assert [seen["status"] for seen in fickle.seen("discovery")] == [status]
        assert newcomer.page.status_code == 200
        assert newcomer.signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize(
    "name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"]
)
def test_incomplete_metadata_is_refused_before_any_other_request(stranger: Browser, name: str) -> None:
    stranger.tenant.misbehave(discovery={"drop": [name]})

    stranger.get("/login", follow=False)

    assert stranger.page.status_code == 502
    assert [seen["endpoint"] for seen in stranger.tenant.all_seen()] == ["discovery"]


def test_another_tenant_than_b2c_tenant_id_is_refused(
    serve_app: ServeApp, lone_tenant: LocalTenant, fickle: Tenant
) -> None:
    app = serve_app(lone_tenant, B2C_TENANT_ID=str(uuid.uuid4()))
    with Browser(app.url, fickle) as browser:
        browser.get("/login", follow=False)

        assert browser.page.status_code == 502
        assert fickle.seen("authorize", "token") == []


def test_without_b2c_tenant_id_the_metadata_says_which_tenant(
    serve_app: ServeApp, lone_tenant: LocalTenant, fickle: Tenant
) -> None:
    app = serve_app(lone_tenant, B2C_TENANT_ID="")
    with Browser(app.url, fickle) as browser:
        browser.sign_in()
        assert_outcome(browser, SIGNED_IN)
    fickle.misbehave(id_token={"set": {"iss": f"{fickle.tls_url}/{uuid.uuid4()}/v2.0/"}})
    with Browser(app.url, fickle) as browser:
        browser.sign_in()
        assert_outcome(browser, REFUSED)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"body": {"keys": []}}, id="no key"),
        pytest.param({"body": {"keys": [{"kty": "RSA"}]}}, id="half a key"),
        pytest.param({"body": {"keys": [{"kty": "RSA", "n": 7, "e": 7, "kid": "x"}]}}, id="numbers"),
        pytest.param({"body": {"keys": [{"kty": ["RSA"]}, 7, None]}}, id="garbage in the list"),
        pytest.param({"body": {"keys": {"a": "b"}}}, id="an object for the list"),
        pytest.param({"body": {}}, id="an empty object"),
        pytest.param({"body": "<html>", "status": 200}, id="HTML"),
        pytest.param({"body": "[" * 200_000, "status": 200}, id="deeply nested"),
        pytest.param({"status": 404, "body": {"error": "x"}}, id="404"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"reset": True}, id="reset"),
    ],
)
def test_keys_that_cannot_be_read_sign_nobody_in(newcomer: Browser, fickle: Tenant, answer: Fault) -> None:
    fickle.misbehave(keys=answer)

    newcomer.sign_in()

    assert newcomer.page.status_code in (502, 503)
    assert newcomer.signed_in_as() is None
    fickle.recover()
    newcomer.sign_in()
    assert_outcome(newcomer, SIGNED_IN)


def test_a_warm_sign_in_costs_one_request_to_the_tenant(new_app: RunningApp, fickle: Tenant) -> None:
    with Browser(new_app.url, fickle) as first:
        first.sign_in()
    with Browser(new_app.url, fickle) as browser:
        fickle.forget_requests()
        callback = browser.callback_url()
        at_the_start = fickle.seen("discovery", "keys", "token")
        browser.get(callback)
        at_the_end = fickle.seen("discovery", "keys", "token")

    assert at_the_start == []
    assert [seen["endpoint"] for seen in at_the_end] == ["token"]


def test_the_first_sign_in_fetches_metadata_and_keys_once(newcomer: Browser, fickle: Tenant) -> None:
    newcomer.sign_in()

    assert [seen["endpoint"] for seen in fickle.seen("discovery", "keys", "token")] == [
        "discovery",
        "token",
        "keys",
    ]
