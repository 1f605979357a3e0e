"""Views that somebody has added to the app: who may see them, and where a sign-in leads back to."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Blueprint, Flask
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from signin.web import current_user, page, sign_in_required
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, assert_page, parameters
from tests.helpers.tenant import Tenant


def add_views(app: Flask) -> None:
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @app.get("/files/<path:name>")
    @sign_in_required
    def file(name: str) -> ResponseReturnValue:
        return f"{current_user.name} reads {name}"

    @app.route("/notes/<int:number>", methods=["GET", "POST", "PUT"])
    @sign_in_required()
    def note(number: int) -> ResponseReturnValue:
        return page("sign_in.html", next=f"/notes/{number}")

    @app.post("/notes/add")
    @sign_in_required
    def add_note() -> ResponseReturnValue:
        return "added"

    @shop.get("/orders/<int:number>")
    @sign_in_required(scopes=app.extensions["signin"].settings.scope)
    def order(number: int) -> ResponseReturnValue:
        return f"order {number}"

    class Basket(MethodView):
        decorators = [sign_in_required]  # noqa: RUF012 - as Flask declares it

        def get(self, size: str) -> ResponseReturnValue:
            return f"a {size} basket"

    shop.add_url_rule("/baskets/<size>", view_func=Basket.as_view("basket"))
    app.register_blueprint(shop)


@pytest.fixture(scope="module")
def own_app(serve_app: ServeApp) -> RunningApp:
    """The app with views that somebody has added."""
    running = serve_app()
    add_views(running.flask)
    return running


@pytest.fixture
def visitor(own_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    """A browser at that app."""
    with Browser(own_app.url, tenant) as browser:
        yield browser


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/files/a/b.txt", "Ada Lovelace reads a/b.txt"),
        ("/shop/orders/7", "order 7"),
        ("/shop/baskets/small", "a small basket"),
    ],
    ids=["URL variable", "blueprint, with scopes", "method view"],
)
def test_a_view_is_shown_after_the_sign_in(visitor: Browser, path: str, text: str) -> None:
    visitor.sign_in(start=path)

    assert visitor.page.text == text
    assert urlsplit(visitor.page.url).path == path


def test_a_view_with_scopes_has_their_token_before_it_runs(visitor: Browser, tenant: Tenant) -> None:
    visitor.sign_in()
    tenant.misbehave(token={"status": 503})
    with_token = visitor.get("/shop/orders/7").status_code
    tenant.option(access_token_lifetime=1)
    tenant.recover()
    visitor.post("/logout")
    visitor.sign_in()
    tenant.misbehave(token={"status": 503})

    assert with_token == 200
    assert visitor.get("/shop/orders/7").status_code == 503


# --- The way back


@pytest.mark.parametrize(
    "path",
    [
        "/files/my%20report",
        "/files/%C3%BCber",
        "/files/%E6%8A%A5%E5%91%8A?page=2&q=%C3%A9t%C3%A9+%26",
        "/files/a%2520b",
        "/files/it's(1)!*;,@:$&=~",
        "/files/list?filter=" + "x" * 1900,
    ],
    ids=lambda path: path[:40],
)
def test_the_page_that_needed_the_sign_in_is_where_it_leads_back_to(visitor: Browser, path: str) -> None:
    visitor.sign_in(start=path)

    assert visitor.page.status_code == 200
    assert visitor.page.url == visitor.app_url + path


@pytest.mark.parametrize(
    ("typed", "path"),
    [("/files/my report", "/files/my%20report"), ("/files/über?q=é", "/files/%C3%BCber?q=%C3%A9")],
)
def test_a_path_that_is_not_percent_encoded_is_understood(visitor: Browser, typed: str, path: str) -> None:
    visitor.get("/login?next=" + typed, follow=False)
    visitor.follow()
    visitor.enter_password(follow=False)
    visitor.follow()

    assert visitor.location == path


def test_a_query_that_is_too_long_is_left_out_of_the_way_back(visitor: Browser) -> None:
    visitor.sign_in(start="/files/list?filter=" + "x" * 2500)

    assert visitor.page.url == f"{visitor.app_url}/files/list"


@pytest.mark.parametrize(
    "path", ["/files/" + "x" * 1990, "/files/" + "%C3%BC" * 330, "/files/a?b=" + "/" * 3000]
)
def test_the_cookie_of_a_pending_sign_in_fits_into_every_browser(visitor: Browser, path: str) -> None:
    visitor.get(path, follow=False)
    state = parameters(visitor.location)["state"]
    name = f"signin_flow_{state}"

    assert len(name) + len(visitor.cookies[name]) <= 4096


@pytest.fixture(scope="module")
def catch_all(serve_app: ServeApp) -> RunningApp:
    """An app whose every address is a page for signed-in users."""
    running = serve_app()

    @running.flask.get("/<path:anything>")
    @sign_in_required
    def view(anything: str) -> ResponseReturnValue:
        return "a page"

    return running


@pytest.mark.parametrize(
    "path",
    [
        "/%5Cevil.example",
        "/%5C%5Cevil.example",
        "/%09/evil.example",
        "/%E2%80%A8/evil.example",
        "/.%2F/evil.example",
        "/https://evil.example",
        "/@evil.example",
        "/%2Fevil.example",
    ],
)
def test_no_requested_path_leads_out_of_the_site(catch_all: RunningApp, tenant: Tenant, path: str) -> None:
    with Browser(catch_all.url, tenant) as visitor:
        visitor.sign_in()
        visitor.forget_session_id()
        visitor.get(catch_all.url + path)

        assert visitor.page.status_code == 200
        assert visitor.page.url.startswith(f"{catch_all.url}/")
        assert "evil" not in urlsplit(visitor.page.url).netloc


# --- Forms


def test_a_form_that_meets_an_ended_session_is_reported_on_its_page(visitor: Browser) -> None:
    visitor.post("/notes/7?draft=1", fields={"text": "Water the plants"})
    visitor.enter_password()

    assert visitor.page.url == f"{visitor.app_url}/notes/7?draft=1"
    assert "Your form was not sent, because your sign-in had ended." in visitor.text
    assert "was not sent" not in visitor.get("/").text


def test_the_sign_in_page_may_not_even_be_seen(visitor: Browser) -> None:
    visitor.sign_in().forget_session_id()
    visitor.post("/notes/7")

    assert visitor.page.url == f"{visitor.app_url}/notes/7"
    assert "Your form was not sent" in visitor.text


@pytest.mark.parametrize(
    ("referrer", "leads_to"),
    [
        ("{app}/notes/7?draft=1", "/notes/7?draft=1"),
        ("{app}/", "/"),
        ("https://evil.example/notes/7", "/"),
        ("{app}.evil.example/notes/7", "/"),
        ("{app}//evil.example", "/"),
        ("{app}/logout", "/"),
        ("", "/"),
    ],
)
def test_a_form_whose_address_is_no_page_leads_back_to_the_page_that_sent_it(
    visitor: Browser, referrer: str, leads_to: str
) -> None:
    visitor.post("/notes/add", follow=False, Referer=referrer.format(app=visitor.app_url))
    visitor.follow()
    visitor.enter_password(follow=False)
    visitor.follow()

    assert visitor.location == leads_to


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "same-site", "Origin": "http://sibling.localhost"},
        {"Sec_Fetch_Site": "", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "", "Origin": "null"},
        {"Sec_Fetch_Site": "", "Origin": ""},
    ],
)
def test_a_form_of_another_site_changes_nothing(visitor: Browser, headers: dict[str, Any]) -> None:
    visitor.sign_in().post("/notes/add", **headers)

    assert_page(visitor.page, 403)
    assert "This was not sent from a page of this site" in visitor.text


def test_a_form_of_a_browser_without_fetch_metadata_is_taken(visitor: Browser) -> None:
    visitor.sign_in().post("/notes/add", Sec_Fetch_Site="")

    assert visitor.page.text == "added"


# --- Scripts


@pytest.mark.parametrize(
    ("referrer", "query"),
    [
        ("{app}/files/%C3%BCber?page=2", "?next=/files/%25C3%25BCber?page%3D2"),
        ("https://evil.example/files", ""),
        ("{app}//evil.example", "?next=/"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_script_gets_the_address_that_leads_back_to_its_page(
    visitor: Browser, method: str, referrer: str, query: str
) -> None:
    ask: Callable[..., requests.Response] = visitor.get if method == "get" else visitor.post
    answer = ask(
        "/notes/7", follow=False, Sec_Fetch_Mode="cors", Referer=referrer.format(app=visitor.app_url)
    )

    assert answer.status_code == 401
    assert answer.json()["sign_in_uri"] == f"{visitor.app_url}/login{query}"


def test_the_address_for_a_script_leads_back_to_its_page(visitor: Browser) -> None:
    page = f"{visitor.app_url}/files/%C3%BCber?page=2"
    answer = visitor.get("/notes/7", Sec_Fetch_Mode="cors", Referer=page)
    visitor.sign_in(start=answer.json()["sign_in_uri"])

    assert visitor.page.url == page
