"""The control API, the web API, and starting and stopping."""

import base64
import hashlib
import hmac
import random
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local_tenant import LocalTenant
from local_tenant.control import Control, ControlError
from local_tenant.model.fault_members import check_faults
from local_tenant.server import PortTaken
from tests.local_tenant.visitor import (
    DOMAIN,
    SECONDS,
    SIGN_IN,
    Visitor,
    claims,
    error_code,
    parameters,
    wait_until,
)

# --- the web API


def test_api_answers_with_tasks(visitor: Visitor) -> None:
    response = visitor.call_api(visitor.tokens()["access_token"])
    assert response.status_code == 200
    assert response.json()["owner"] == "Ada Example"
    assert set(response.json()["tasks"][0]) == {"id", "title", "done"}


def test_api_adds_a_task(visitor: Visitor) -> None:
    token = visitor.tokens()["access_token"]
    assert visitor.call_api(token, "POST", title="Water the plants").status_code == 201
    assert visitor.call_api(token).json()["tasks"][-1]["title"] == "Water the plants"


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"title": 1}', b'{"title": " "}'])
def test_api_refuses_a_task_without_a_title(visitor: Visitor, body: bytes) -> None:
    token = visitor.tokens()["access_token"]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    response = visitor.http.post(visitor.tenant.api_url, data=body, headers=headers, timeout=SECONDS)
    assert response.status_code == 400


def test_api_without_a_token_challenges_without_an_error(visitor: Visitor) -> None:
    response = visitor.call_api()
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="tasks"')


@pytest.mark.parametrize(
    ("method", "needed", "granted"),
    [("GET", "tasks.read", "tasks.write"), ("POST", "tasks.write", "tasks.read")],
)
def test_api_wants_the_scope(visitor: Visitor, method: str, needed: str, granted: str) -> None:
    token = visitor.tokens(scope=f"openid https://{DOMAIN}/tasks-api/{granted}")["access_token"]
    response = visitor.call_api(token, method, title="x")
    challenge = f'Bearer realm="tasks", error="insufficient_scope", scope="{needed}"'
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (403, challenge)


def assert_refused(response: requests.Response) -> None:
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "W10.W10.x", "bnVsbA.bnVsbA.x", "é"])
def test_api_refuses_nonsense(visitor: Visitor, token: str) -> None:
    assert_refused(visitor.call_api(token))


def test_api_refuses_an_id_token(visitor: Visitor) -> None:
    assert_refused(visitor.call_api(visitor.tokens()["id_token"]))


def test_api_refuses_a_token_for_another_api(visitor: Visitor) -> None:
    scope = f"openid https://{DOMAIN}/notes-api/notes.read"
    assert_refused(visitor.call_api(visitor.tokens(scope=scope)["access_token"]))


def test_api_refuses_an_expired_token(visitor: Visitor) -> None:
    token = visitor.tokens()["access_token"]
    visitor.move_clock(3601)
    assert_refused(visitor.call_api(token))


def test_api_refuses_a_token_of_another_issuer(visitor: Visitor) -> None:
    token = visitor.tokens()["access_token"]
    visitor.set_option(issuer_form="tfp")
    assert_refused(visitor.call_api(token))


def test_api_refuses_a_token_of_a_withdrawn_key(visitor: Visitor) -> None:
    token = visitor.tokens()["access_token"]
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    assert_refused(visitor.call_api(token))


# --- the record of requests


def test_requests_are_recorded_in_order(visitor: Visitor) -> None:
    visitor.control("DELETE", "requests")
    visitor.call_api(visitor.tokens()["access_token"])
    record = visitor.control("GET", "requests")
    assert [(entry["endpoint"], entry["method"], entry["status"]) for entry in record] == [
        ("authorize", "GET", 200),
        ("page", "POST", 302),
        ("token", "POST", 200),
        ("api", "GET", 200),
    ]


def test_the_record_tells_what_was_sent(visitor: Visitor) -> None:
    visitor.control("DELETE", "requests")
    visitor.authorize(ui_locales="fr")
    (entry,) = visitor.control("GET", "requests")
    assert (entry["user_flow"], entry["query"]["ui_locales"], entry["form"]) == (SIGN_IN, ["fr"], {})
    assert entry["path"].endswith("/oauth2/v2.0/authorize")
    assert entry["headers"]["Host"] == visitor.tenant.url.removeprefix("http://")


def test_the_record_keeps_no_password(visitor: Visitor) -> None:
    typed = {"password": "Typed-1", "newPassword": "Typed-2", "reenterPassword": "Typed-3"}
    visitor.submit(visitor.authorize(), email="ada@example.com", **typed)
    form = visitor.control("GET", "requests")[-1]["form"]
    assert form == {"email": ["ada@example.com"]} | {name: [""] for name in typed}


# --- forged ID tokens


def check_strictly(visitor: Visitor, token: str) -> dict[str, Any]:
    published = jwt.PyJWKSet.from_dict(visitor.keys().json())
    key = published[jwt.get_unverified_header(token)["kid"]]
    checked: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], audience=visitor.tenant.settings["CLIENT_ID"]
    )
    return checked


def forged(visitor: Visitor, **fault: Any) -> str:
    visitor.set_fault(id_token=fault)
    token: str = visitor.tokens()["id_token"]
    return token


def test_claims_can_be_set_and_dropped_under_a_good_signature(visitor: Visitor) -> None:
    checked = check_strictly(visitor, forged(visitor, set={"name": "Mallory", "extra": [1]}, drop=["nonce"]))
    assert (checked["name"], checked["extra"], "nonce" in checked) == ("Mallory", [1], False)


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
def test_a_forged_id_token_fails_a_strict_check(
    visitor: Visitor, fault: dict[str, Any], error: type[Exception]
) -> None:
    token = forged(visitor, **fault)
    with pytest.raises(error):
        check_strictly(visitor, token)


def test_hs256_can_be_signed_with_the_client_secret(visitor: Visitor) -> None:
    token = forged(visitor, alg="HS256", hs256_key="client_secret")
    settings = visitor.tenant.settings
    assert jwt.decode(token, settings["CLIENT_SECRET"], algorithms=["HS256"], audience=settings["CLIENT_ID"])


def test_hs256_can_be_signed_with_the_public_key(visitor: Visitor) -> None:
    """The attack on libraries that take any key for any algorithm: RFC 8725, section 2.1."""
    token = forged(visitor, alg="HS256", hs256_key="public_key")
    signed, _, signature = token.rpartition(".")
    key = jwt.PyJWKSet.from_dict(visitor.keys().json())[jwt.get_unverified_header(token)["kid"]].key
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # PyJWT itself refuses a public key as an HMAC secret.
    expected = hmac.digest(pem, signed.encode(), hashlib.sha256)
    assert signature == base64.urlsafe_b64encode(expected).rstrip(b"=").decode()


def test_header_members_can_be_added(visitor: Visitor) -> None:
    token = forged(visitor, header={"jku": "https://evil.example/keys", "typ": "other"})
    header = jwt.get_unverified_header(token)
    assert (header["jku"], header["typ"]) == ("https://evil.example/keys", "other")


def test_the_id_token_can_be_left_out(visitor: Visitor) -> None:
    visitor.set_fault(id_token={"omit": True})
    assert "id_token" not in visitor.tokens()


def test_the_previous_id_token_can_be_replayed(visitor: Visitor) -> None:
    first = visitor.tokens(nonce="first")["id_token"]
    assert forged(visitor, replay=True) == first


# --- faults on the way


def test_the_redirect_can_be_changed(visitor: Visitor) -> None:
    visitor.set_fault(authorize={"set": {"iss": "https://evil.example"}, "drop": ["state"]})
    sent = parameters(visitor.sign_in())
    assert (sent["iss"], "state" in sent, "code" in sent) == ("https://evil.example", False, True)


def test_the_redirect_can_hold_a_parameter_twice(visitor: Visitor) -> None:
    visitor.set_fault(authorize={"set": {"state": ["one", "two"]}})
    assert "state=one&state=two&" in visitor.sign_in().headers["Location"]


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        pytest.param({"code": "AADB2C90118"}, ("access_denied", "AADB2C90118"), id="by code"),
        pytest.param(
            {"error": "server_error", "error_description": "AADB2C90037: Sorry"},
            ("server_error", "AADB2C90037"),
            id="by text",
        ),
    ],
)
def test_authorize_can_answer_with_an_error_at_once(
    visitor: Visitor, error: dict[str, str], sent: tuple[str, str]
) -> None:
    visitor.set_fault(authorize={"error": error, "times": 2})
    assert [error_code(visitor.authorize()) for _ in range(2)] == [sent, sent]
    assert visitor.authorize().status_code == 200


def test_the_redirect_after_sign_out_can_be_changed(visitor: Visitor) -> None:
    visitor.set_fault(logout={"set": {"state": "other"}})
    url = visitor.page_url("oauth2/v2.0/logout")
    response = visitor.get(url, post_logout_redirect_uri="http://localhost:1234/", state="mine")
    assert response.headers["Location"] == "http://localhost:1234/?state=other"


def test_a_response_can_be_replaced(visitor: Visitor) -> None:
    visitor.set_fault(token={"status": 429, "headers": {"Retry-After": 7}, "body": "<h1>Slow down</h1>"})
    response = visitor.redeem("any")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    assert response.text == "<h1>Slow down</h1>"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("leg", "path", "dropped"),
    [
        ("discovery", "v2.0/.well-known/openid-configuration", "issuer"),
        ("keys", "discovery/v2.0/keys", "keys"),
    ],
)
def test_members_of_a_response_can_be_changed(visitor: Visitor, leg: str, path: str, dropped: str) -> None:
    visitor.set_fault(**{leg: {"set": {"added": 1}, "drop": [dropped]}})
    members = visitor.http.get(visitor.back_channel_url(path), timeout=SECONDS).json()
    assert (members["added"], dropped in members) == (1, False)


def test_members_of_the_token_response_can_be_changed(visitor: Visitor) -> None:
    visitor.set_fault(token={"set": {"expires_in": "soon"}, "drop": ["scope"]})
    response = visitor.tokens()
    assert (response["expires_in"], "scope" in response) == ("soon", False)


def test_headers_alone_leave_the_rest_of_the_response(visitor: Visitor) -> None:
    visitor.set_fault(keys={"headers": {"Date": "yesterday"}})
    response = visitor.keys()
    assert response.headers["Date"] == "yesterday"
    assert response.json()["keys"]


def test_a_fault_lasts_as_many_times_as_asked(visitor: Visitor) -> None:
    visitor.set_fault(keys={"status": 503, "times": 2})
    assert [visitor.keys().status_code for _ in range(3)] == [503, 503, 200]


def test_faults_are_merged_by_leg_and_cleared_together(visitor: Visitor) -> None:
    visitor.set_fault(api={"status": 500})
    merged = visitor.control("PATCH", "faults", {"api": {"body": "x"}, "keys": {"delay": 0}})
    assert merged == {"api": {"status": 500, "body": "x"}, "keys": {"delay": 0}}
    visitor.control("DELETE", "faults")
    assert visitor.control("GET", "faults") == {}


def test_a_connection_can_be_reset(visitor: Visitor) -> None:
    visitor.set_fault(api={"reset": True})
    with pytest.raises(requests.ConnectionError, match="Connection reset by peer"):
        visitor.call_api()


def test_the_server_goes_on_after_resetting_a_tls_connection(visitor: Visitor) -> None:
    visitor.set_fault(keys={"reset": True, "times": 1})
    with pytest.raises(requests.ConnectionError):
        visitor.keys()
    assert visitor.keys().status_code == 200


def test_a_response_can_be_delayed(visitor: Visitor) -> None:
    visitor.set_fault(keys={"delay": 0.2})
    started = time.monotonic()
    visitor.keys()
    assert time.monotonic() - started >= 0.2


def test_a_request_is_held_until_it_is_released(visitor: Visitor) -> None:
    visitor.set_fault(keys={"hold": "mine"})
    statuses: list[int] = []
    holder = Visitor(visitor.tenant)
    thread = threading.Thread(target=lambda: statuses.append(holder.keys().status_code))
    thread.start()
    wait_until(lambda: visitor.control("GET", "holds") == ["mine"])
    assert not statuses
    assert visitor.control("POST", "release", {"hold": "mine"}) == {"released": True}
    thread.join(SECONDS)
    holder.close()
    assert statuses == [200]


# --- clock, keys, options, accounts, redirect URIs


@pytest.mark.parametrize("server", ["tenant", "api"])
def test_responses_are_dated_by_the_moved_clock(visitor: Visitor, server: str) -> None:
    visitor.move_clock(5000)
    response = visitor.keys() if server == "tenant" else visitor.call_api()
    sent_at = parsedate_to_datetime(response.headers["Date"]).timestamp()
    assert abs(sent_at - time.time() - 5000) < 5


@pytest.mark.parametrize(("keep_old", "published"), [(True, 2), (False, 1)])
def test_keys_can_be_rotated(visitor: Visitor, keep_old: bool, published: int) -> None:
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    old = visitor.keys().json()["keys"][0]["kid"]
    visitor.control("POST", "rotate-keys", {"keep_old": keep_old})
    kids = [key["kid"] for key in visitor.keys().json()["keys"]]
    assert (len(kids), old in kids) == (published, keep_old)
    assert jwt.get_unverified_header(visitor.tokens()["id_token"])["kid"] == kids[0] != old


def test_two_keys_can_be_published(visitor: Visitor) -> None:
    visitor.control("POST", "rotate-keys", {"keep_old": False})
    visitor.set_option(keys=2)
    assert len(visitor.keys().json()["keys"]) == 2


def test_lifetimes_can_be_set(visitor: Visitor) -> None:
    visitor.set_option(access_token_lifetime=300, id_token_lifetime=400, refresh_token_lifetime=86400)
    response = visitor.tokens()
    id_token = claims(response["id_token"])
    assert (response["expires_in"], response["refresh_token_expires_in"]) == (300, 86400)
    assert id_token["exp"] - id_token["iat"] == 400


def test_the_client_secret_can_be_changed(visitor: Visitor) -> None:
    before = visitor.tenant.settings["CLIENT_SECRET"]
    visitor.set_option(client_secret="changed")
    assert visitor.tenant.settings["CLIENT_SECRET"] == "changed"
    response = visitor.redeem("any", client_secret=before)
    assert error_code(response) == ("invalid_client", "AADB2C90081")


def test_a_redirect_uri_can_be_registered(visitor: Visitor) -> None:
    visitor.control("POST", "redirect-uris", {"redirect_uri": "http://localhost:9/other"})
    response = visitor.sign_in(redirect_uri="http://localhost:9/other")
    assert response.headers["Location"].startswith("http://localhost:9/other?")


def test_an_account_can_be_added_changed_and_removed(visitor: Visitor) -> None:
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
        pytest.param("PUT", "clock", {"offset": 1e12}, 400, id="clock of the year 33715"),
        pytest.param("POST", "release", {"hold": []}, 400, id="hold"),
        pytest.param("POST", "accounts", {"email": "", "password": "x"}, 400, id="no e-mail address"),
        pytest.param("POST", "accounts", {"email": "b@example.com", "password": 5}, 400, id="password"),
        pytest.param("PATCH", "accounts/ada@example.com", {"city": 5}, 400, id="attribute"),
        pytest.param("POST", "accounts", {"email": "ada@example.com", "password": "x"}, 409, id="taken"),
        pytest.param("POST", "accounts", {"email": "b@example.com"}, 400, id="no password"),
        pytest.param("PATCH", "accounts/ada@example.com", {"sub": "x"}, 400, id="fixed member"),
        pytest.param("PATCH", "accounts/nobody@example.com", {}, 404, id="unknown account"),
        pytest.param("POST", "rotate-keys", [], 400, id="no object"),
        pytest.param("POST", "redirect-uris", {"redirect_uri": None}, 400, id="no redirect URI"),
        pytest.param("POST", "redirect-uris", {"redirect_uri": "http://["}, 400, id="no host"),
        pytest.param("PUT", "logout-url", {"logout_url": "http://["}, 400, id="no logout URL"),
    ],
)
def test_a_wrong_request_to_the_control_api_is_refused_with_a_reason(
    visitor: Visitor, method: str, path: str, body: object, status: int
) -> None:
    url = f"{visitor.tenant.url}/control/{path}"
    response = visitor.http.request(method, url, json=body, timeout=SECONDS)
    assert response.status_code == status
    assert response.json()["error"]


def test_a_misspelt_member_is_refused_with_the_right_name(visitor: Visitor) -> None:
    url = f"{visitor.tenant.url}/control/rotate-keys"
    answer = visitor.http.post(url, json={"keepold": True}, timeout=SECONDS)
    assert answer.status_code == 400
    assert "Did you mean `keep_old`?" in answer.json()["error"]


def test_a_misspelt_fault_is_refused_with_the_right_name(visitor: Visitor) -> None:
    with pytest.raises(ControlError, match="Did you mean `status`"):
        Control(visitor.tenant.url).set_fault("token", statuss=503)
    assert visitor.control("GET", "faults") == {}


@pytest.mark.parametrize(
    ("leg", "fault"),
    [
        ("id_token", {"alg": "XX"}),
        ("id_token", {"status": 503}),
        ("authorize", {"error": {"errorr": "server_error"}}),
        ("token", {"status": 9999}),
        ("token", {"times": 0}),
        ("token", {"delay": -1}),
        ("token", {"delay": "x"}),
        ("token", {"headers": "x"}),
        ("token", {"headers": {"X": "a\r\nb"}}),
        ("token", {"reset": "no"}),
        ("discovery", {"drop": "issuer"}),
    ],
)
def test_a_fault_with_a_wrong_value_is_refused(leg: str, fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"of `{leg}`"):
        check_faults({leg: fault})


def test_a_body_that_is_no_json_is_refused_in_plain_words(visitor: Visitor) -> None:
    url, headers = f"{visitor.tenant.url}/control/faults", {"Content-Type": "application/json"}
    for body in ("{", "[" * 100_000):
        answer = visitor.http.patch(url, data=body, headers=headers, timeout=SECONDS)
        assert (answer.status_code, answer.json()["error"]) == (400, "The body is not valid JSON.")


def test_the_address_of_the_control_api_lists_its_endpoints(visitor: Visitor) -> None:
    listed = visitor.get(f"{visitor.tenant.url}/control").json()["endpoints"]
    assert {"GET /control/accounts", "PATCH /control/accounts/{email}", "PUT /control/clock"} <= set(listed)


def test_the_control_api_takes_json_only(visitor: Visitor) -> None:
    url = f"{visitor.tenant.url}/control/rotate-keys"
    assert visitor.http.post(url, data="{}", timeout=SECONDS).status_code == 415


# --- the servers


def test_a_connection_to_the_back_channel_is_kept_alive(visitor: Visitor) -> None:
    url = visitor.back_channel_url("discovery/v2.0/keys")
    connections = set()
    for _ in range(2):
        with visitor.http.get(url, stream=True, timeout=SECONDS) as response:
            connections.add(response.raw.connection)
            assert response.content  # reading it gives the connection back
    assert len(connections) == 1


def test_the_certificate_is_trusted_through_the_bundle_alone(visitor: Visitor) -> None:
    visitor.http.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        visitor.keys()


@pytest.mark.parametrize("server", ["url", "api_url"])
def test_a_foreign_host_header_is_refused(visitor: Visitor, server: str) -> None:
    url = getattr(visitor.tenant, server)
    response = visitor.http.get(url, headers={"Host": "evil.example"}, timeout=SECONDS)
    assert response.status_code == 400


def test_silent_clients_do_not_stop_the_others(visitor: Visitor) -> None:
    ports = [int(url.rpartition(":")[2]) for url in (visitor.tenant.url, visitor.tenant.tls_url)]
    with (
        socket.create_connection(("127.0.0.1", ports[0])) as half_a_request,
        socket.create_connection(("127.0.0.1", ports[1])),
    ):
        half_a_request.sendall(b"GET / HT")
        assert visitor.keys().status_code == 200
        assert visitor.authorize().status_code == 200


# --- starting and stopping


def test_a_stopped_tenant_leaves_nothing_behind() -> None:
    with LocalTenant() as own:
        visitor = Visitor(own)
        visitor.set_fault(keys={"hold": "forever"})
        thread = threading.Thread(target=visitor.keys)
        thread.start()
        other = Visitor(own)
        wait_until(lambda: other.control("GET", "holds"))
        started = time.monotonic()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert time.monotonic() - started < 5
    assert not Path(own.ca_bundle).exists()
    visitor.close()
    other.close()


def test_the_ports_of_a_stopped_tenant_are_free_at_once() -> None:
    for port in random.sample(range(20_000, 30_000, 3), 20):
        try:
            with LocalTenant(port) as first:
                visitor = Visitor(first)
                visitor.authorize()  # and keep the connection open
        except PortTaken:
            continue
        with LocalTenant(port) as second:
            assert second.url == first.url
        visitor.close()
        return
    raise AssertionError("none of the ports was free")


def test_two_tenants_in_one_process_share_nothing(visitor: Visitor) -> None:
    with LocalTenant() as other:
        stranger = Visitor(other)
        names = ("B2C_TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "SECRET_KEY", "REQUESTS_CA_BUNDLE")
        assert not [name for name in names if other.settings[name] == visitor.tenant.settings[name]]
        stranger.control("POST", "accounts", {"email": "only@example.com", "password": "x"})
        assert "only@example.com" not in str(visitor.control("GET", "accounts"))
        assert_refused(visitor.call_api(stranger.tokens()["access_token"]))
        stranger.close()
