"""fetchSignedIn in a real browser, on pages that fetch while they load. They must not load without end."""

from collections.abc import Iterator

import pytest
from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue
from jinja2 import ChoiceLoader, DictLoader
from playwright.sync_api import Request, expect

from local_tenant import LocalTenant
from signin.web import InteractionRequired, access_token, page, sign_in_required
from tests.browser.conftest import SitDown
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.person import Person
from tests.helpers.tenant import Fault, Tenant

NOTES = "https://localtenant.onmicrosoft.com/notes-api/notes.read"
PAGE = """{% extends "_base.html" %}{% block title %}Report{% endblock %}
{% block scripts %}<script type="module" src="/{{ name }}.js"></script>{% endblock %}
{% block content %}<h1>Report</h1><p id="shown"></p>{% endblock %}"""
SCRIPT = """import { fetchSignedIn } from "/static/app.js";
const answers = await Promise.all(PATHS.map(path => fetchSignedIn(path)));
document.getElementById("shown").textContent = answers.map(answer => answer.status).join(" ");
"""
# What the token endpoint says once, when it wants the user at the sign-in page.
SIGN_IN_NEEDED: Fault = {
    "status": 400,
    "body": {"error": "interaction_required", "error_description": "Consent is missing"},
    "content_type": "application/json",
    "times": 1,
}
PATHS = {
    "orders": ["/orders.json"],
    "profile": ["/profile.json"],
    "never": ["/never.json"],
    "mixed": ["/never.json", "/orders.json", "/never-either.json"],
}


def add_views(app: Flask) -> None:
    app.jinja_env.loader = ChoiceLoader([app.create_global_jinja_loader(), DictLoader({"report.html": PAGE})])

    @app.get("/report/<name>")
    @sign_in_required
    def report(name: str) -> ResponseReturnValue:
        return page("report.html", name=name)

    @app.get("/<name>.js")  # in an app of its own it would be a file under static/
    def script(name: str) -> ResponseReturnValue:
        return Response(SCRIPT.replace("PATHS", str(PATHS[name])), mimetype="text/javascript")

    @app.get("/orders.json")
    @sign_in_required
    def orders() -> ResponseReturnValue:
        return jsonify(bool(access_token([NOTES])))

    @app.get("/profile.json")
    @sign_in_required(scopes=["User.ReadWrite"])
    def profile() -> ResponseReturnValue:
        return jsonify("Ada")

    def never(scope: str) -> ResponseReturnValue:
        error = InteractionRequired("an API that is never content")
        error.scopes = error.wanted = (scope,)
        raise error

    @app.get("/never.json")
    @sign_in_required
    def never_content() -> ResponseReturnValue:
        return never("https://localtenant.onmicrosoft.com/tasks-api/tasks.read")

    @app.get("/never-either.json")
    @sign_in_required
    def never_content_either() -> ResponseReturnValue:
        return never("https://localtenant.onmicrosoft.com/tasks-api/tasks.write")


@pytest.fixture(scope="module")
def own_app(serve_app: ServeApp) -> RunningApp:
    """The app with pages that fetch while they load."""
    running = serve_app()
    add_views(running.flask)
    return running


@pytest.fixture
def loads() -> list[str]:
    """The pages of the app that the person's browser has asked for."""
    return []


@pytest.fixture
def person(someone: SitDown, own_app: RunningApp, loads: list[str]) -> Iterator[Person]:
    """Somebody who has signed in."""

    def note_load(request: Request) -> None:
        if request.is_navigation_request() and request.url.startswith(f"{own_app.url}/report/"):
            loads.append(request.url)

    person = someone(at=own_app).be_signed_in()
    person.page.on("request", note_load)
    yield person
    person.page.remove_listener("request", note_load)
    forget_refusals(person)


def forget_refusals(person: Person) -> None:
    """Chromium reports each 401 and 403 that a script gets."""
    person.complaints[:] = [text for text in person.complaints if "401" not in text and "403" not in text]


def test_a_script_that_needs_another_scope_has_its_answer_after_one_trip(
    person: Person, loads: list[str]
) -> None:
    person.tenant.misbehave(token=SIGN_IN_NEEDED)
    person.go("/report/orders")

    expect(person.page.locator("#shown")).to_have_text("200")
    assert loads == [f"{person.app_url}/report/orders"] * 2


def test_a_script_whose_session_has_ended_has_its_answer_too(person: Person, loads: list[str]) -> None:
    person.context.clear_cookies(name="signin_session")
    person.go("/report/orders")

    expect(person.page.locator("#shown")).to_have_text("200")


def test_a_script_that_nothing_helps_gets_a_403_after_one_trip(person: Person, loads: list[str]) -> None:
    person.go("/report/never")
    expect(person.page.locator("#shown")).to_have_text("403")
    assert len(loads) == 2

    person.go("/report/never")
    expect(person.page.locator("#shown")).to_have_text("403")
    assert len(loads) == 3


def test_among_scripts_that_nothing_helps_the_other_one_is_helped_and_all_come_to_rest(
    person: Person, loads: list[str]
) -> None:
    person.tenant.misbehave(token=SIGN_IN_NEEDED)
    person.go("/report/mixed")

    # The page that says so has all its answers, and loads no other.
    expect(person.page.locator("#shown")).to_have_text("403 200 403", timeout=15_000)
    assert len(loads) <= 6


def test_a_script_that_needs_consent_brings_the_user_to_the_question(
    someone: SitDown, serve_app: ServeApp
) -> None:
    with LocalTenant(port=0, kind="entra-id") as local:
        running = serve_app(local)
        add_views(running.flask)
        person = someone(at=running, tenant=Tenant(local)).be_signed_in()
        person.go("/report/profile")
        expect(person.page.get_by_role("heading", name="Permissions requested")).to_be_visible()
        person.press("accept")

        expect(person.page.locator("#shown")).to_have_text("200")
        forget_refusals(person)
