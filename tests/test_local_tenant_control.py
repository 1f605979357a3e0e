"""The local tenant's control API and its web API."""

import socket
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import jwt
import pytest
import requests

from local_tenant import LocalTenant
from tests.tenant_visitor import SIGN_IN, Visitor, answer, claims, error_code

REDIRECT_URI = "http://localhost:1234/getAToken"


@pytest.fixture(scope="module")
def tenant():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as tenant:
        yield tenant


def keys(visitor):
    return visitor.http.get(visitor.endpoint("discovery/v2.0/keys", origin=visitor.tenant.tls_url), timeout=5)


# --- the web API


def call(visitor, token=None, **kwargs):
    headers = ({"Authorization": f"Bearer {token}"} if token else {}) | kwargs.pop("headers", {})
    method = kwargs.pop("method", "GET")
    return visitor.http.request(method, visitor.tenant.api_url, headers=headers, **kwargs)


def test_api_answers_with_tasks(visitor):
    response = call(visitor, visitor.tokens()["access_token"])
    assert response.status_code == 200
    assert response.json()["owner"] == "Ada Example"
    assert {"id", "title", "done"} == set(response.json()["tasks"][0])


def test_api_adds_a_task(visitor):
    token = visitor.tokens()["access_token"]
    assert call(visitor, token, method="POST", json={"title": "Water the plants"}).status_code == 201
    assert call(visitor, token).json()["tasks"][-1]["title"] == "Water the plants"


@pytest.mark.parametrize("body", ["", "nonsense", "[]", "{}", '{"title": 1}', '{"title": " "}'])
def test_api_refuses_a_task_without_a_title(visitor, body):
    headers = {"Content-Type": "application/json"}
    response = call(visitor, visitor.tokens()["access_token"], method="POST", data=body, headers=headers)
    assert response.status_code == 400


def test_api_without_a_token_challenges_without_an_error(visitor):
    response = call(visitor)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="tasks"')


@pytest.mark.parametrize(("method", "scope"), [("GET", "tasks.write"), ("POST", "tasks.read")])
def test_api_wants_the_scope(visitor, method, scope):
    token = visitor.tokens(scope=f"openid https://localtenant.onmicrosoft.com/tasks-api/{scope}")[
        "access_token"
    ]
    response = call(visitor, token, method=method, json={"title": "x"})
    assert response.status_code == 403
    needed = {"GET": "tasks.read", "POST": "tasks.write"}[method]
    challenge = f'Bearer realm="tasks", error="insufficient_scope", scope="{needed}"'
    assert response.headers["WWW-Authenticate"] == challenge


def assert_invalid(response):
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "{}", "W10.W10.x", "bnVsbA.bnVsbA.x", "é"])
def test_api_refuses_nonsense(visitor, token):
    assert_invalid(call(visitor, token))


def test_api_refuses_an_id_token(visitor):
    assert_invalid(call(visitor, visitor.tokens()["id_token"]))


def test_api_refuses_a_token_for_another_api(visitor):
    scope = "openid https://localtenant.onmicrosoft.com/notes-api/notes.read"
    assert_invalid(call(visitor, visitor.tokens(scope=scope)["access_token"]))


def test_api_refuses_an_expired_token(visitor):
    token = visitor.tokens()["access_token"]
    visitor.control("PUT", "clock", {"offset": 3601})
    assert_invalid(call(visitor, token))


def test_api_refuses_a_well_signed_token_of_another_issuer(visitor):
    token = visitor.tokens()["access_token"]
    assert call(visitor, token).status_code == 200
    visitor.control("PATCH", "options", {"issuer_form": "tfp"})
    assert_invalid(call(visitor, token))


def test_api_refuses_another_tenants_token(visitor):
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as other:
        assert_invalid(call(visitor, Visitor(other).tokens()["access_token"]))


def test_api_refuses_a_token_of_a_withdrawn_key(visitor):
    token = visitor.tokens()["access_token"]
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    assert_invalid(call(visitor, token))


# --- what is recorded


def test_requests_are_recorded_in_order(visitor):
    visitor.control("DELETE", "requests")
    call(visitor, visitor.tokens()["access_token"])
    found = visitor.control("GET", "requests")
    assert [(entry["endpoint"], entry["method"], entry["status"]) for entry in found] == [
        ("authorize", "GET", 200),
        # Visitor.tokens asks twice: once to see whether a page is needed, once to sign in.
        ("authorize", "GET", 200),
        ("page", "POST", 302),
        ("token", "POST", 200),
        ("api", "GET", 200),
    ]


def test_a_record_tells_what_was_sent(visitor):
    visitor.control("DELETE", "requests")
    visitor.authorize(ui_locales="fr")
    (entry,) = visitor.control("GET", "requests")
    assert (entry["user_flow"], entry["query"]["ui_locales"], entry["form"]) == (SIGN_IN, ["fr"], {})
    assert entry["path"].endswith("/oauth2/v2.0/authorize")
    assert entry["headers"]["Host"] == visitor.tenant.url.removeprefix("http://")


def test_a_record_keeps_no_password(visitor):
    visitor.control("DELETE", "requests")
    typed = {"password": "Typed-1", "newPassword": "Typed-2", "reenterPassword": "Typed-3"}
    visitor.submit(visitor.authorize(), email="ada@example.com", **typed)
    form = visitor.control("GET", "requests")[-1]["form"]
    assert form == {"email": ["ada@example.com"]} | {name: [""] for name in typed}


# --- forged ID tokens


def strict(visitor, token):
    published = jwt.PyJWKSet.from_dict(keys(visitor).json())
    header = jwt.get_unverified_header(token)
    return jwt.decode(
        token, published[header["kid"]], algorithms=["RS256"], audience=visitor.tenant.settings["CLIENT_ID"]
    )


def forged(visitor, **fault):
    visitor.control("PATCH", "faults", {"id_token": fault})
    return visitor.tokens()


def test_claims_can_be_set_and_dropped_under_a_good_signature(visitor):
    token = forged(visitor, set={"name": "Mallory", "extra": [1]}, drop=["nonce"])["id_token"]
    found = strict(visitor, token)
    assert (found["name"], found["extra"], "nonce" in found) == ("Mallory", [1], False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"key": "other"}, jwt.InvalidSignatureError, id="other key"),
        pytest.param({"alg": "none"}, jwt.InvalidAlgorithmError, id="none"),
        pytest.param({"alg": "HS256"}, jwt.InvalidAlgorithmError, id="HS256"),
        pytest.param({"alg": "ES256"}, jwt.InvalidAlgorithmError, id="ES256"),
        pytest.param({"alg": "null"}, jwt.InvalidTokenError, id="null"),
        pytest.param({"kid": "unknown"}, KeyError, id="unknown kid"),
        pytest.param({"kid": "absent"}, KeyError, id="no kid"),
        pytest.param({"set": {"aud": "someone"}}, jwt.InvalidAudienceError, id="audience"),
        pytest.param({"set": {"exp": 1}}, jwt.ExpiredSignatureError, id="expired"),
        pytest.param({"raw": "nonsense"}, jwt.DecodeError, id="raw"),
        pytest.param({"access_token": True}, jwt.InvalidAudienceError, id="access token"),
    ],
)
def test_forged_id_token_fails_a_strict_check(visitor, fault, error):
    token = forged(visitor, **fault)["id_token"]
    with pytest.raises(error):
        strict(visitor, token)


def test_hs256_with_the_public_key_is_signed_with_just_that(visitor):
    token = forged(visitor, alg="HS256", hs256_key="client_secret")["id_token"]
    jwt.decode(
        token,
        visitor.tenant.settings["CLIENT_SECRET"],
        algorithms=["HS256"],
        audience=visitor.tenant.settings["CLIENT_ID"],
    )


def test_header_members_can_be_added(visitor):
    token = forged(visitor, header={"jku": "https://evil.example/keys", "typ": "other"})["id_token"]
    header = jwt.get_unverified_header(token)
    assert (header["jku"], header["typ"]) == ("https://evil.example/keys", "other")


def test_id_token_can_be_left_out(visitor):
    assert "id_token" not in forged(visitor, omit=True)


def test_previous_id_token_can_be_replayed(visitor):
    first = visitor.tokens(nonce="first")["id_token"]
    assert forged(visitor, replay=True)["id_token"] == first


# --- faults on the way


def test_redirect_can_be_changed(visitor):
    visitor.control(
        "PATCH", "faults", {"authorize": {"set": {"iss": "https://evil.example"}, "drop": ["state"]}}
    )
    found = answer(visitor.sign_in())
    assert (found["iss"], "state" in found, "code" in found) == ("https://evil.example", False, True)


def test_redirect_can_hold_a_parameter_twice(visitor):
    visitor.control("PATCH", "faults", {"authorize": {"set": {"state": ["one", "two"]}}})
    assert "state=one&state=two&" in visitor.sign_in().headers["Location"]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        pytest.param({"code": "AADB2C90118"}, ("access_denied", "AADB2C90118"), id="by code"),
        pytest.param(
            {"error": "server_error", "error_description": "AADB2C90037: Sorry"},
            ("server_error", "AADB2C90037"),
            id="by text",
        ),
    ],
)
def test_authorize_can_answer_with_an_error_at_once(visitor, error, found):
    visitor.control("PATCH", "faults", {"authorize": {"error": error, "times": 2}})
    assert [error_code(visitor.authorize()) for _ in range(2)] == [found, found]
    assert visitor.authorize().status_code == 200


def test_logout_redirect_can_be_changed(visitor):
    visitor.control("PATCH", "faults", {"logout": {"set": {"state": "other"}}})
    params = {"post_logout_redirect_uri": "http://localhost:1234/", "state": "mine"}
    response = visitor.get(visitor.endpoint("oauth2/v2.0/logout"), params=params)
    assert response.headers["Location"] == "http://localhost:1234/?state=other"


def test_answer_can_be_replaced(visitor):
    fault = {"status": 429, "headers": {"Retry-After": 7}, "body": "<h1>Slow down</h1>"}
    visitor.control("PATCH", "faults", {"token": fault})
    response = visitor.redeem("any")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert (response.text, response.headers["Content-Type"]) == (
        "<h1>Slow down</h1>",
        "text/html; charset=utf-8",
    )


@pytest.mark.parametrize("leg", ["discovery", "keys"])
def test_members_of_the_answer_can_be_changed(visitor, leg):
    visitor.control("PATCH", "faults", {leg: {"set": {"added": 1}, "drop": ["issuer", "keys"]}})
    paths = {"discovery": "v2.0/.well-known/openid-configuration", "keys": "discovery/v2.0/keys"}
    document = visitor.http.get(visitor.endpoint(paths[leg], origin=visitor.tenant.tls_url)).json()
    assert document["added"] == 1
    assert not {"issuer", "keys"} & set(document)


def test_headers_alone_leave_the_rest_of_the_answer(visitor):
    visitor.control("PATCH", "faults", {"keys": {"headers": {"Date": "yesterday"}}})
    response = keys(visitor)
    assert (response.headers["Date"], len(response.json()["keys"])) == ("yesterday", 1)


@pytest.mark.parametrize("leg", ["keys", "api"])
def test_answers_are_dated_by_the_moved_clock(visitor, leg):
    visitor.control("PUT", "clock", {"offset": 5000})
    response = keys(visitor) if leg == "keys" else call(visitor)
    assert abs(parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time() - 5000) < 3


def test_members_of_the_token_response_can_be_changed(visitor):
    visitor.control("PATCH", "faults", {"token": {"set": {"expires_in": "soon"}, "drop": ["scope"]}})
    response = visitor.tokens()
    assert (response["expires_in"], "scope" in response) == ("soon", False)


def test_fault_lasts_as_often_as_asked(visitor):
    visitor.control("PATCH", "faults", {"keys": {"status": 503, "times": 2}})
    assert [keys(visitor).status_code for _ in range(3)] == [503, 503, 200]


def test_faults_are_merged_per_leg_and_cleared_together(visitor):
    visitor.control("PATCH", "faults", {"api": {"status": 500}})
    merged = visitor.control("PATCH", "faults", {"api": {"body": "x"}, "keys": {"delay": 0}})
    assert merged == {"api": {"status": 500, "body": "x"}, "keys": {"delay": 0}}
    visitor.control("DELETE", "faults")
    assert visitor.control("GET", "faults") == {}


@pytest.mark.parametrize("leg", ["keys", "api"])
def test_connection_can_be_reset(visitor, leg):
    visitor.control("PATCH", "faults", {leg: {"reset": True}})
    with pytest.raises(requests.ConnectionError):
        keys(visitor) if leg == "keys" else call(visitor)


def test_answer_can_be_delayed(visitor):
    visitor.control("PATCH", "faults", {"keys": {"delay": 0.2}})
    started = time.monotonic()
    keys(visitor)
    assert time.monotonic() - started >= 0.2


def test_request_is_held_until_released(visitor):
    visitor.control("PATCH", "faults", {"keys": {"hold": "mine"}})
    answers = []
    thread = threading.Thread(target=lambda: answers.append(keys(Visitor(visitor.tenant)).status_code))
    thread.start()
    while visitor.control("GET", "holds") != ["mine"]:
        time.sleep(0.01)
    assert not answers
    assert visitor.control("POST", "release", {"hold": "mine"}) == {"released": True}
    thread.join(5)
    assert answers == [200]


# --- keys, options, accounts, addresses


@pytest.mark.parametrize(("keep_old", "listed"), [(True, 2), (False, 1)])
def test_keys_can_be_rotated(visitor, keep_old, listed):
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    old = keys(visitor).json()["keys"][0]["kid"]
    visitor.control("POST", "rotate-keys", {"keep_old": keep_old})
    found = [key["kid"] for key in keys(visitor).json()["keys"]]
    assert (len(found), old in found) == (listed, keep_old)
    assert jwt.get_unverified_header(visitor.tokens()["id_token"])["kid"] == found[0] != old


def test_two_keys_can_be_listed(visitor):
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    visitor.control("PATCH", "options", {"keys": 2})
    assert len(keys(visitor).json()["keys"]) == 2


def test_lifetimes_can_be_set(visitor):
    lifetimes = {"access_token_lifetime": 300, "id_token_lifetime": 400, "refresh_token_lifetime": 86400}
    visitor.control("PATCH", "options", lifetimes)
    response = visitor.tokens()
    token = claims(response["id_token"])
    assert (response["expires_in"], response["refresh_token_expires_in"]) == (300, 86400)
    assert token["exp"] - token["iat"] == 400


def test_client_secret_can_be_changed(visitor):
    code = visitor.code()
    visitor.control("PATCH", "options", {"client_secret": "changed"})
    old = visitor.tenant.settings["CLIENT_SECRET"]
    assert old == "changed"
    assert error_code(visitor.redeem(code, client_secret="before")) == ("invalid_client", "AADB2C90081")


def test_redirect_uri_can_be_registered(visitor):
    visitor.control("POST", "redirect-uris", {"redirect_uri": "http://localhost:9/other"})
    assert (
        visitor.sign_in(redirect_uri="http://localhost:9/other")
        .headers["Location"]
        .startswith("http://localhost:9/other?")
    )


def test_account_can_be_added_changed_and_removed(visitor):
    added = visitor.control("POST", "accounts", {"email": "x@example.com", "password": "Pass-word-1"})
    changed = visitor.control("PATCH", "accounts/x@example.com", {"city": "Hull"})
    assert changed == added | {"city": "Hull"}
    visitor.control("DELETE", "accounts/x@example.com")
    assert "x@example.com" not in [account["email"] for account in visitor.control("GET", "accounts")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        pytest.param("PATCH", "options", {"colour": "red"}, 400, id="unknown option"),
        pytest.param("PATCH", "options", {"pkce": "yes"}, 400, id="wrong type"),
        pytest.param("PATCH", "options", {"keys": 3}, 400, id="wrong value"),
        pytest.param("PATCH", "faults", {"moon": {}}, 400, id="unknown leg"),
        pytest.param(
            "PATCH", "faults", {"authorize": {"error": {"code": "AADB2C1"}}}, 400, id="unknown error"
        ),
        pytest.param("PUT", "clock", {"offset": "late"}, 400, id="clock"),
        pytest.param("POST", "accounts", {"email": "ada@example.com", "password": "x"}, 409, id="taken"),
        pytest.param("POST", "accounts", {"email": "b@example.com"}, 400, id="no password"),
        pytest.param("PATCH", "accounts/ada@example.com", {"sub": "x"}, 400, id="fixed member"),
        pytest.param("PATCH", "accounts/nobody@example.com", {}, 404, id="unknown account"),
        pytest.param("POST", "rotate-keys", [], 400, id="no object"),
    ],
)
def test_unfit_wish_is_refused_with_a_reason(visitor, method, path, body, status):
    response = visitor.http.request(method, f"{visitor.tenant.url}/control/{path}", json=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_control_takes_json_only(visitor):
    response = visitor.http.post(f"{visitor.tenant.url}/control/rotate-keys", data="{}")
    assert response.status_code == 415


# --- starting and stopping


def test_stopping_lets_held_requests_go_and_takes_the_bundle_along():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as own:
        visitor = Visitor(own)
        visitor.control("PATCH", "faults", {"keys": {"hold": "for ever"}})
        thread = threading.Thread(target=lambda: keys(Visitor(own)))
        thread.start()
        while not visitor.control("GET", "holds"):
            time.sleep(0.01)
        started = time.monotonic()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - started < 5
    assert not Path(own.ca_bundle).exists()


def test_silent_connections_do_not_stop_the_others():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as own:
        ports = [int(url.rpartition(":")[2]) for url in (own.url, own.tls_url)]
        with (
            socket.create_connection(("127.0.0.1", ports[0])) as half_a_request,
            socket.create_connection(("127.0.0.1", ports[1])),
        ):
            half_a_request.sendall(b"GET / HT")
            assert keys(Visitor(own)).status_code == 200


def test_port_of_a_stopped_tenant_is_free_at_once():
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as own:
        Visitor(own).authorize()
        port = int(own.url.rpartition(":")[2])
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_two_tenants_in_one_process_share_nothing(tenant):
    with LocalTenant(port=0, redirect_uris=[REDIRECT_URI]) as other:
        differing = {"B2C_TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "SECRET_KEY", "REQUESTS_CA_BUNDLE"}
        assert {name for name in differing if other.settings[name] == tenant.settings[name]} == set()
        Visitor(other).control("POST", "accounts", {"email": "only@example.com", "password": "x"})
        assert "only@example.com" not in str(Visitor(tenant).control("GET", "accounts"))
