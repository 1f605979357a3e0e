"""Several web APIs: which token goes where, and what happens when one needs the user."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from flask import Flask, request
from flask.typing import ResponseReturnValue

import app_config
from local_tenant import LocalTenant
from signin.web import SignInApp, call_api, sign_in_required
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, assert_page, parameters
from tests.helpers.tenant import Fault, Tenant

NOTES = "https://localtenant.onmicrosoft.com/notes-api/notes.read"
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
CONSENT: Fault = {
    "status": 400,
    "body": {"error": "interaction_required", "error_description": "Consent is missing", "claims": CLAIMS},
    "content_type": "application/json",
    "times": 1,
}
CHALLENGE: Fault = {
    "status": 401,
    "headers": {
        "WWW-Authenticate": 'Bearer realm="", error="insufficient_claims", '
        f'claims="{base64.b64encode(CLAIMS.encode()).decode()}"'
    },
}


class NotesApi(BaseHTTPRequestHandler):
    """A second API, which remembers what it was sent."""

    received: list[dict[str, Any]]

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.received.append(
            {
                "method": self.command,
                "path": self.path,
                "token": self.headers["Authorization"].removeprefix("Bearer "),
                "body": json.loads(body) if body else None,
            }
        )
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def notes_api() -> Iterator[str]:
    """The address of a NotesApi."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NotesApi) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def received() -> list[dict[str, Any]]:
    """What the NotesApi has been sent."""
    NotesApi.received = []
    return NotesApi.received


def add_views(app: Flask, notes: str) -> None:
    assert isinstance(app, SignInApp)
    app.allow_api(notes)
    tasks = str(app.settings.endpoint)

    @app.route("/notes", methods=["GET", "POST"])
    @sign_in_required
    def notes_page() -> ResponseReturnValue:
        body = {"text": request.form["text"]} if request.method == "POST" else None
        return str(call_api(f"{notes}/notes?all=1", [NOTES], request.method, body=body).status)

    @app.get("/tasks")
    @sign_in_required
    def tasks_page() -> ResponseReturnValue:
        return str(call_api(tasks, app.settings.scope).status)

    @app.get("/both")
    @sign_in_required
    def both() -> ResponseReturnValue:
        answers = call_api(tasks, app.settings.scope), call_api(f"{notes}/notes", [NOTES])
        return " and ".join(str(answer.status) for answer in answers)

    @app.get("/anywhere")
    @sign_in_required
    def anywhere() -> ResponseReturnValue:
        try:
            return str(call_api(request.args["url"], [NOTES]).status)
        except ValueError as error:
            return str(error), 400


@pytest.fixture(scope="module")
def own_app(serve_app: ServeApp, notes_api: str) -> RunningApp:
    """The app with pages that call two APIs."""
    running = serve_app()
    add_views(running.flask, notes_api)
    return running


@pytest.fixture
def visitor(own_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    with Browser(own_app.url, tenant) as browser:
        yield browser


@pytest.fixture(scope="module")
def member(own_app: RunningApp, running_tenant: LocalTenant) -> Iterator[Browser]:
    """Somebody who stays signed in from one test to the next."""
    tenant = Tenant(running_tenant)
    with Browser(own_app.url, tenant) as browser:
        yield browser.sign_in()
    tenant.behave()


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_each_api_gets_a_token_of_its_own(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in().get("/tasks")
    visitor.get("/notes")
    for_tasks = tenant.seen("api")[-1]["headers"]["Authorization"].removeprefix("Bearer ")

    assert claims(received[0]["token"])["scp"] == "notes.read"
    assert claims(for_tasks)["scp"] == "tasks.read"
    assert claims(received[0]["token"])["aud"] != claims(for_tasks)["aud"]


def test_the_tokens_of_all_apis_are_kept(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in()
    visitor.get("/both")
    tenant.forget_requests()
    for path in ("/tasks", "/notes", "/both"):
        visitor.get(path)

    assert visitor.page.text == "200 and 200"
    assert len({call["token"] for call in received}) == 1
    assert tenant.seen("authorize", "token") == []


def test_a_call_sends_its_method_and_body(visitor: Browser, received: list[dict[str, Any]]) -> None:
    visitor.sign_in(start="/notes")
    received.clear()
    visitor.post("/notes", fields={"text": "Water the plants"})

    assert (received[0]["method"], received[0]["path"]) == ("POST", "/notes?all=1")
    assert received[0]["body"] == {"text": "Water the plants"}


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/notes",
        "http://evil.example/notes",
        "{notes}@evil.example/notes",
        "{notes}.evil.example/notes",
        "{notes}\\@evil.example/notes",
        "{notes}/no tes",
        "{notes}/n\u00f6tes",
        "{notes}1/notes",
        "http://localhost/notes",
        "//evil.example/notes",
        "ftp://localhost/notes",
        "http://",
        "http://[::1",
        "",
    ],
)
def test_no_token_goes_to_an_address_that_the_developer_has_not_allowed(
    member: Browser, notes_api: str, tenant: Tenant, received: list[dict[str, Any]], url: str
) -> None:
    member.http.params = {"url": url.format(notes=notes_api)}
    member.get("/anywhere")

    assert member.page.status_code == 400
    assert received == []
    assert tenant.seen("token", "api") == []


@pytest.mark.parametrize("url", ["http://api.example.com", "https://api.example.com\\@x", "api.example.com"])
def test_an_api_without_https_cannot_be_allowed(serve_app: ServeApp, url: str) -> None:
    app = serve_app().flask
    assert isinstance(app, SignInApp)

    with pytest.raises(ValueError, match="https"):
        app.allow_api(url)


# --- When an API needs the user


@pytest.mark.parametrize("answer", [{"token_type": "Bearer", "scope": ""}, {"error": "invalid_scope"}])
def test_a_provider_that_does_not_refresh_for_another_api_is_asked_for_it(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]], answer: dict[str, str]
) -> None:
    visitor.sign_in()
    status = 400 if "error" in answer else 200
    tenant.misbehave(token=CONSENT | {"status": status, "body": answer})
    visitor.get("/notes")

    assert visitor.page.text == "200"
    assert claims(received[0]["token"])["scp"] == "notes.read"


def test_a_new_sign_in_renews_the_tokens_of_all_apis(
    visitor: Browser, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in(start="/notes")
    visitor.get("/login")
    visitor.get("/notes")

    first, second = received
    assert first["token"] != second["token"]


def test_consent_leads_through_the_provider_once_and_back(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in()
    tenant.forget_requests()
    tenant.misbehave(token=CONSENT)
    visitor.get("/notes")

    [asked] = tenant.seen("authorize")
    assert NOTES in asked["query"]["scope"][0].split()
    assert json.loads(asked["query"]["claims"][0]) == json.loads(CLAIMS)
    assert visitor.page.url == f"{visitor.app_url}/notes"
    assert visitor.page.text == "200"
    assert len(received) == 1


def test_a_claims_challenge_of_an_api_leads_through_the_provider_once_and_back(
    visitor: Browser, tenant: Tenant
) -> None:
    visitor.sign_in()
    tenant.forget_requests()
    tenant.misbehave(api=CHALLENGE | {"times": 1}, token=CONSENT)
    visitor.get("/tasks")

    assert len(tenant.seen("authorize")) == 1
    assert (visitor.page.url, visitor.page.text) == (f"{visitor.app_url}/tasks", "200")


def test_a_claims_challenge_that_a_new_token_satisfies_needs_no_user(
    visitor: Browser, tenant: Tenant
) -> None:
    visitor.sign_in()
    tenant.forget_requests()
    tenant.misbehave(api=CHALLENGE | {"times": 1})
    visitor.get("/tasks")

    assert visitor.page.text == "200"
    assert tenant.seen("authorize") == []
    assert len(tenant.seen("token")) == 1


def test_an_api_that_is_never_satisfied_causes_no_loop(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    tenant.forget_requests()
    tenant.misbehave(api=CHALLENGE)
    visitor.get("/tasks")

    assert_page(visitor.page, 403)
    assert len(tenant.seen("authorize")) == 1


def go_to_the_provider_and_back(visitor: Browser) -> None:
    """Go to /tasks, from there to the provider, and back to the redirect to /tasks."""
    visitor.get("/tasks", follow=False)
    visitor.follow()
    visitor.follow()
    assert visitor.location == "/tasks"


def test_a_consent_that_does_not_help_causes_no_loop(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    tenant.misbehave(api=CHALLENGE, token=CONSENT)
    go_to_the_provider_and_back(visitor)
    tenant.misbehave(token=CONSENT)
    visitor.follow()

    assert_page(visitor.page, 403)
    assert "The sign-in service does not allow this" in visitor.text


def test_a_consent_that_helped_can_be_asked_for_again(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    for _ in range(3):
        tenant.forget_requests()
        tenant.misbehave(api=CHALLENGE | {"times": 1}, token=CONSENT)
        visitor.get("/tasks")

        assert visitor.page.text == "200"
        assert len(tenant.seen("authorize")) == 1


def test_pages_that_take_turns_to_ask_for_consent_end_in_words(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    for _ in range(9):
        tenant.misbehave(api=CHALLENGE | {"times": 1}, token=CONSENT)
        visitor.get("/tasks")

    assert_page(visitor.page, 400)
    assert "Signing in has no effect" in visitor.text


def test_a_form_that_needed_consent_is_reported_on_its_page(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in()
    tenant.misbehave(token=CONSENT)
    visitor.post("/notes", fields={"text": "Water the plants"}, follow=False)
    visitor.follow()
    visitor.follow()

    assert visitor.location == "/notes"
    assert visitor.cookies["signin_notice"].startswith("form_not_sent.")
    assert received == []


def test_a_link_of_another_site_asks_for_consent_only_after_a_click(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in().get("/")
    tenant.forget_requests()
    tenant.misbehave(token=CONSENT)
    answer = visitor.get("/notes", follow=False, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")

    assert_page(answer, 401)
    assert tenant.seen("authorize") == []


def test_consent_follows_at_once_on_the_sign_in_that_the_page_began(
    visitor: Browser, tenant: Tenant, received: list[dict[str, Any]]
) -> None:
    visitor.sign_in(start="/login?next=/token_details")
    visitor.get("/login?next=/notes", follow=False)
    visitor.follow()
    visitor.follow()
    # Browsers judge by the whole chain of redirects, which has led through the provider.
    visitor.get(visitor.location, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")

    assert visitor.page.text == "200"
    assert len(received) == 1


def test_a_script_that_needs_consent_gets_an_address(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    tenant.misbehave(token=CONSENT)
    answer = visitor.get("/notes", Sec_Fetch_Mode="cors")

    assert answer.status_code == 401
    assert answer.json()["sign_in_uri"]


# --- The demo: reading tasks, and adding one


def test_the_sign_in_asks_for_the_scopes_of_reading_alone(browser: Browser, tenant: Tenant) -> None:
    browser.get("/login", follow=False)
    scopes = parameters(browser.location)["scope"].split()

    assert tenant.settings["SCOPE"] in scopes
    assert tenant.settings["WRITE_SCOPE"] not in scopes


def test_the_page_for_adding_a_task_gets_a_token_with_the_scope_for_it(
    browser: Browser, tenant: Tenant
) -> None:
    browser.sign_in().get("/call_downstream_api")
    tenant.forget_requests()
    browser.click("Add a task")

    [asked] = tenant.seen("token")
    assert tenant.settings["WRITE_SCOPE"] in asked["form"]["scope"][0].split()
    assert browser.page.url == f"{browser.app_url}/add_task"


def test_a_user_who_is_signed_in_is_not_told_so_again(browser: Browser) -> None:
    browser.sign_in().get("/call_downstream_api")
    browser.get("/add_task")

    assert "You are signed in." not in browser.text


def test_a_task_that_meets_an_ended_session_is_reported_on_its_page(browser: Browser) -> None:
    browser.sign_in().get("/add_task")
    browser.forget_session_id()
    browser.post("/add_task", fields={"title": "Water the plants"})

    assert browser.page.url == f"{browser.app_url}/add_task"
    assert "Your form was not sent" in browser.text


def test_an_added_task_is_among_those_read(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/add_task")
    tenant.forget_requests()
    browser.post("/add_task", fields={"title": "Water the plants"})

    added, read = tenant.seen("api")
    assert (added["method"], added["status"]) == ("POST", 201)
    assert (read["method"], read["status"]) == ("GET", 200)
    assert "The task has been added." in browser.text
    assert "Water the plants" in browser.text


def test_reading_and_adding_in_turn_need_no_other_tokens(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in().get("/add_task")
    tenant.forget_requests()
    for title in ("One", "Two"):
        browser.post("/add_task", fields={"title": title})
        browser.get("/call_downstream_api")

    assert tenant.seen("token", "authorize") == []
    assert "Two" in browser.text


def test_a_task_that_the_api_refuses_is_shown_as_such(browser: Browser) -> None:
    browser.sign_in().get("/add_task")
    browser.post("/add_task", fields={"title": " "})

    assert browser.page.status_code == 502
    assert "The API refused the request" in browser.text
    assert "Send JSON with a title" in browser.page.text


def test_a_form_of_another_site_adds_no_task(browser: Browser, tenant: Tenant) -> None:
    browser.sign_in()
    tenant.forget_requests()
    browser.post("/add_task", fields={"title": "x"}, Sec_Fetch_Site="same-site")

    assert browser.page.status_code == 403
    assert tenant.seen("api", "token") == []


def test_without_write_scope_there_is_no_form(serve_app: ServeApp, tenant: Tenant) -> None:
    with Browser(serve_app(WRITE_SCOPE="").url, tenant) as browser:
        browser.sign_in().get("/call_downstream_api")

        assert "Add a task" not in browser.text
        assert browser.get("/add_task").status_code == 404


@pytest.mark.parametrize(
    "scope",
    [
        "tasks.write",
        "https://contoso.onmicrosoft.com/api/write openid",
        "https://contoso.onmicrosoft.com/api/write https://contoso.onmicrosoft.com/other/write",
    ],
)
def test_a_malformed_write_scope_is_named_at_the_start(tenant: Tenant, scope: str) -> None:
    with pytest.raises(app_config.ConfigError, match="- WRITE_SCOPE "):
        app_config.read(tenant.settings | {"WRITE_SCOPE": scope})
