"""Mistakes with the guards of views: they show when the app is imported, or do what was meant."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.typing import ResponseReturnValue

from signin.web import access_token, ask_first, people_only, role_required, sign_in_required
from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser
from tests.helpers.tenant import Tenant

NOTES = "https://localtenant.onmicrosoft.com/notes-api/notes.read"


def view() -> str:
    return "seen"


async def async_view() -> str:
    return "seen"


@pytest.mark.parametrize(
    "guard", [sign_in_required, sign_in_required(scopes=[NOTES]), role_required("a"), people_only, ask_first]
)
def test_no_guard_takes_an_async_view(guard: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="async def"):
        guard(async_view)


@pytest.mark.parametrize("arguments", [(), (view,), (["editor", "admin"],)])
def test_roles_have_to_be_strings(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="one by one"):
        role_required(*arguments)


def test_scopes_are_named(tenant: Tenant) -> None:
    guard: Any = sign_in_required
    with pytest.raises(TypeError):
        guard(NOTES)


def test_a_string_holds_scopes_separated_by_spaces(serve_app: ServeApp, tenant: Tenant) -> None:
    app = serve_app()

    @app.flask.get("/notes")
    @sign_in_required(scopes=NOTES)
    def notes() -> ResponseReturnValue:
        return access_token(f" {NOTES}")[:2]

    with Browser(app.url, tenant) as browser:
        assert browser.sign_in(start="/notes").text == "ey"
