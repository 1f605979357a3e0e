"""Scripts of the site in a real browser: what may run, and what static/app.js does."""

from pathlib import Path

import pytest
from flask import Flask, jsonify, request, send_file
from flask.typing import ResponseReturnValue
from jinja2 import ChoiceLoader, DictLoader
from playwright.sync_api import expect

from signin.web import page, sign_in_required
from tests.browser.conftest import SitDown
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.person import Person

PAGE = """{% extends "_base.html" %}{% block title %}Board{% endblock %}{% block content %}
<h1>Board</h1>
<p id="shown">before</p>
<button type="button" id="load">Load</button>
<form method="post"><button>Save</button></form>
<p><a class="button" href="/board?page=slow">Next</a></p>
<script type="module" src="/board.js"></script>
{% endblock %}"""
SCRIPT = """import { fetchSignedIn } from "/static/app.js";
const shown = document.getElementById("shown");
document.getElementById("load").addEventListener("click", async () => {
  shown.textContent = (await (await fetchSignedIn("/board.json")).json()).text;
});
shown.textContent = "the script runs";
"""
INLINE = """<!doctype html><title>Inline</title>
<p id="shown" onclick="this.textContent = 'handler'">before</p>
<script>document.getElementById("shown").textContent = "inline script"</script>
<style>#shown { color: rgb(1, 2, 3) }</style><p style="color: rgb(1, 2, 3)" id="styled">x</p>
<a href="javascript:document.getElementById('shown').textContent = 'URL'" id="link">link</a>"""


def add_views(app: Flask, folder: Path, saved: list[str]) -> None:
    (folder / "board.js").write_text(SCRIPT)
    app.jinja_env.loader = ChoiceLoader([app.create_global_jinja_loader(), DictLoader({"board.html": PAGE})])

    @app.route("/board", methods=["GET", "POST"])
    @sign_in_required
    def board() -> ResponseReturnValue:
        if request.method == "POST":
            saved.append("once")
        return page("board.html")

    @app.get("/board.json")
    @sign_in_required
    def board_json() -> ResponseReturnValue:
        return jsonify(text="loaded")

    @app.get("/board.js")  # in an app of its own it would be a file under static/
    def board_js() -> ResponseReturnValue:
        return send_file(folder / "board.js", mimetype="text/javascript")

    @app.get("/inline")
    def inline() -> ResponseReturnValue:
        return INLINE


@pytest.fixture(scope="module")
def saved() -> list[str]:
    """What the board's form has sent."""
    return []


@pytest.fixture(scope="module")
def own_app(serve_app: ServeApp, tmp_path_factory: pytest.TempPathFactory, saved: list[str]) -> RunningApp:
    """The app with a page that has a script of its own."""
    running = serve_app()
    add_views(running.flask, tmp_path_factory.mktemp("static"), saved)
    return running


@pytest.fixture
def person(someone: SitDown, own_app: RunningApp) -> Person:
    """Somebody who has signed in and looks at that page."""
    return someone(at=own_app).be_signed_in().go("/board?filter=a%20b")


def lose_the_session(person: Person) -> None:
    person.context.clear_cookies(name="signin_session")


def click_twice(person: Person, name: str) -> object:
    """Click twice at once on what has this name. Returns what it says of being busy, before the next page."""
    clicked = person.page.get_by_role("main").get_by_text(name, exact=True)
    with person.page.expect_navigation():
        busy: object = clicked.evaluate(
            "clicked => { clicked.click(); clicked.click(); return clicked.getAttribute('aria-busy'); }"
        )
    return busy


def test_a_script_of_the_site_runs_and_fetches(person: Person) -> None:
    expect(person.page.locator("#shown")).to_have_text("the script runs")
    person.page.get_by_role("button", name="Load").click()

    expect(person.page.locator("#shown")).to_have_text("loaded")


def test_code_inside_a_page_does_not_run(person: Person) -> None:
    person.go("/inline")
    person.page.locator("#shown").click()
    person.page.locator("#link").click()
    complaints, person.complaints[:] = list(person.complaints), []

    assert person.page.locator("#shown").inner_text() == "before"
    assert "rgb(1, 2, 3)" not in person.page.evaluate(
        "[...document.querySelectorAll('p')].map(p => getComputedStyle(p).color)"
    )
    assert len([complaint for complaint in complaints if "Content Security Policy" in complaint]) >= 5


def test_a_script_whose_session_has_ended_brings_the_user_back_to_its_page(person: Person) -> None:
    lose_the_session(person)
    with person.page.expect_navigation(url="**/board?filter=a%20b"):
        person.page.get_by_role("button", name="Load").click()
    person.complaints[:] = [text for text in person.complaints if "401" not in text]  # Chromium reports it

    expect(person.page.get_by_role("status")).to_have_text("You are signed in.")
    expect(person.page.locator("#shown")).to_have_text("the script runs")


def test_a_script_that_a_sign_in_does_not_help_causes_no_loop(person: Person) -> None:
    body = {"sign_in_uri": f"{person.app_url}/login?next=/board"}
    person.page.route("**/board.json", lambda route: route.fulfill(status=401, json=body))
    load = person.page.get_by_role("button", name="Load")
    with person.page.expect_navigation(url="**/board"):
        load.click()
    load.click()

    expect(person.page.locator("#shown")).to_have_text("")  # the answer has no text
    person.complaints[:] = [text for text in person.complaints if "401" not in text]


def test_a_form_whose_session_has_ended_says_that_it_was_not_sent(person: Person, saved: list[str]) -> None:
    lose_the_session(person)
    before = len(saved)
    person.click("Save")

    expect(person.page.get_by_role("status")).to_contain_text("Your form was not sent")
    assert person.page.url.endswith("/board?filter=a%20b")
    assert len(saved) == before


def test_a_form_is_sent_once_and_its_button_is_busy(person: Person, saved: list[str]) -> None:
    before = len(saved)

    assert click_twice(person, "Save") == "true"
    assert len(saved) == before + 1


def test_a_link_is_busy_until_the_next_page_is_there(person: Person) -> None:
    assert click_twice(person, "Next") == "true"
    assert person.page.url.endswith("/board?page=slow")

    person.page.go_back()
    assert not person.page.locator("[aria-busy]").count()


def test_the_pages_work_without_scripts(someone: SitDown, own_app: RunningApp, saved: list[str]) -> None:
    before = len(saved)
    person = someone(at=own_app, java_script_enabled=False).be_signed_in().go("/board").click("Save")

    assert len(saved) == before + 1
    assert person.heading == "Board"


def test_a_page_with_scopes_can_be_the_first_after_the_sign_in(person: Person) -> None:
    lose_the_session(person)
    with person.page.expect_navigation():
        person.page.evaluate("location.href = '/add_task'")

    assert person.heading == "Add a task"


def test_adding_a_task(person: Person) -> None:
    person.go("/call_downstream_api").click("Add a task").fill(title="Water the plants").click("Add")

    assert person.notice == "The task has been added."
    assert "Water the plants" in person.text
