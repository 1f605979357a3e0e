"""The app with an independent, certified provider: npm's oidc-provider, whose issuer has no path."""

import json
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from tests.helpers.app import RunningApp, import_app
from tests.helpers.browser import parameters, with_query
from tests.oidc_provider.conftest import OidcProvider, Person, ServeClient, WebApi

# One worker of pytest-xdist installs and runs the provider.
pytestmark = pytest.mark.xdist_group("oidc-provider")

SHORT_LIVED = "short-lived tokens"  # server.js lets this client's access tokens end within a minute


def test_a_user_signs_in_and_is_called_by_the_name_from_userinfo(person: Person) -> None:
    person.sign_in()

    assert person.page.status_code == 200
    assert person.signed_in_as() == "ada of the provider"


def test_the_page_asked_for_comes_after_the_sign_in(person: Person, web_api: WebApi) -> None:
    person.sign_in("grace", start="/call_downstream_api")

    assert person.page.url == f"{person.app_url}/call_downstream_api"
    assert '"user": "grace"' in person.text


def test_token_details_show_the_issuer_as_the_provider_writes_it(person: Person) -> None:
    person.sign_in()

    person.get("/token_details")

    assert f"iss {person.provider.issuer} " in person.text


def test_the_response_names_its_issuer_and_another_one_is_refused(person: Person) -> None:
    person.get("/login", follow=False)
    person.get(person.location)
    person.submit_form(login="ada", password="any")
    person.submit_form(follow=False)
    while not person.location.startswith(person.app_url):
        person.follow()
    callback = person.location
    assert parameters(callback)["iss"] == person.provider.issuer

    person.get(with_query(callback, iss="https://other.example"))

    assert person.page.status_code == 400
    assert person.signed_in_as() is None


def test_an_access_token_that_is_about_to_end_is_refreshed(
    serve_client: ServeClient, provider: OidcProvider, web_api: WebApi
) -> None:
    app = serve_client(grant_types=["authorization_code", "refresh_token"], client_name=SHORT_LIVED)
    with Person(app.url, provider) as person:
        person.sign_in()
        web_api.tokens.clear()

        for _ in range(2):
            answer = person.get("/call_downstream_api")
            assert (answer.status_code, answer.history) == (200, [])

    first, second = web_api.tokens
    assert first != second


def test_without_a_refresh_token_the_user_passes_the_provider_again(
    serve_client: ServeClient, provider: OidcProvider, web_api: WebApi
) -> None:
    app = serve_client(grant_types=["authorization_code"], client_name=SHORT_LIVED)
    with Person(app.url, provider) as person:
        person.sign_in()
        assert person.signed_in_as() == "ada of the provider"

        person.get("/call_downstream_api", follow=False)

        assert person.page.status_code == 302
        assert person.location.startswith(f"{provider.issuer}/auth?")


def test_without_a_refresh_token_an_access_token_serves_until_it_ends(
    serve_client: ServeClient, provider: OidcProvider
) -> None:
    app = serve_client(grant_types=["authorization_code"])
    with Person(app.url, provider) as person:
        person.sign_in()

        answer = person.get("/call_downstream_api")

        assert (answer.status_code, answer.history) == (200, [])


def test_the_provider_accepts_the_assertion_of_a_certificate(
    serve_client: ServeClient, provider: OidcProvider, tmp_path: Path
) -> None:
    certificate = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("app", key_type=trustme.KeyType.RSA)
    path = tmp_path / "app.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    app = serve_client(
        {"CLIENT_CERTIFICATE_PATH": str(path)},
        grant_types=["authorization_code"],
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="PS256",
        jwks={"keys": [jwk]},
    )
    with Person(app.url, provider) as person:
        person.sign_in()

        assert person.signed_in_as() == "ada of the provider"


def test_signing_out_ends_the_session_at_the_provider_too(person: Person) -> None:
    person.sign_in()

    person.post("/logout")
    person.submit_form(logout="yes")

    assert person.page.url.startswith(f"{person.app_url}/")
    assert person.signed_in_as() is None
    person.get("/login")
    assert person.page.url.startswith(person.provider.issuer)  # asks who it is, without single sign-on


def test_there_are_no_links_to_what_the_provider_does_not_have(person: Person) -> None:
    person.sign_in()

    assert "Edit profile" not in person.text
    assert person.get("/edit_profile").status_code == 404
    assert person.get("/reset_password").status_code == 404


def check(app: RunningApp, **settings: str) -> tuple[int, dict[str, str]]:
    """The exit status of `flask check`, and what it says about each fault."""
    environ = app.environ | settings
    result = import_app(environ).test_cli_runner().invoke(args=["check", "--json"], env=environ)
    findings = json.loads(result.output)
    return result.exit_code, {f["what"]: f"{f['detail']} {f['advice']}" for f in findings if not f["ok"]}


def test_flask_check_finds_nothing_wrong(client_app: RunningApp) -> None:
    assert check(client_app) == (0, {})


def test_flask_check_names_a_wrong_client_secret(client_app: RunningApp) -> None:
    status, faults = check(client_app, CLIENT_SECRET="made-up")

    assert status == 1
    assert list(faults) == ["client credential"]
    assert "Check CLIENT_ID, and CLIENT_SECRET or what is set instead." in faults["client credential"]


def test_flask_check_names_an_unregistered_redirect_uri(client_app: RunningApp) -> None:
    status, faults = check(client_app, REDIRECT_URI="http://localhost:5000/elsewhere")

    assert status == 1
    assert list(faults) == ["sign-in request"]


def test_flask_check_names_an_issuer_without_metadata(client_app: RunningApp) -> None:
    status, faults = check(client_app, OIDC_AUTHORITY=f"{client_app.environ['OIDC_AUTHORITY']}/elsewhere")

    assert status == 1
    assert "OIDC_AUTHORITY" in faults["provider metadata"]
