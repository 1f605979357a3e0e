"""Roles: where they come from, who gets in, and how they change."""

from collections.abc import Iterator

import pytest
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from signin.web import current_user, role_required
from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, assert_page
from tests.helpers.tenant import Tenant


def add_views(app: Flask) -> None:
    @app.route("/admin/<part>", methods=["GET", "POST"])
    @role_required("admin", "owner")
    def admin(part: str) -> ResponseReturnValue:
        return f"{part} of the administration"

    @app.get("/roles")
    def roles() -> ResponseReturnValue:
        return jsonify(sorted(current_user.roles))


@pytest.fixture(scope="module")
def own_app(serve_app: ServeApp) -> RunningApp:
    """The app with a page for some roles."""
    running = serve_app()
    add_views(running.flask)
    return running


@pytest.fixture(scope="module")
def attribute_app(serve_app: ServeApp) -> RunningApp:
    """The same app, with roles in a custom attribute of Azure AD B2C."""
    running = serve_app(ROLES_CLAIM="extension_Roles")
    add_views(running.flask)
    return running


@pytest.fixture
def visitor(own_app: RunningApp, tenant: Tenant) -> Iterator[Browser]:
    with Browser(own_app.url, tenant) as browser:
        yield browser


def give(tenant: Tenant, **claims: object) -> None:
    """Let ID tokens have these claims from now on."""
    tenant.misbehave(id_token={"set": claims})


@pytest.mark.parametrize("roles", [["admin"], ["owner", "reader"]])
def test_a_user_with_one_of_the_roles_gets_in(visitor: Browser, tenant: Tenant, roles: list[str]) -> None:
    give(tenant, roles=roles)
    visitor.sign_in(start="/admin/users")

    assert visitor.page.text == "users of the administration"


def test_an_account_of_the_local_tenant_can_have_a_role(visitor: Browser, tenant: Tenant) -> None:
    tenant.change_account(claims={"roles": ["admin"]})
    visitor.sign_in(start="/admin/users")

    assert visitor.page.text == "users of the administration"


@pytest.mark.parametrize("roles", [[], ["reader"], ["administrator"], "superadmin", None, {"admin": 1}, 7])
def test_a_user_without_the_role_is_told_so(visitor: Browser, tenant: Tenant, roles: object) -> None:
    give(tenant, roles=roles)
    visitor.sign_in(start="/admin/users")

    assert_page(visitor.page, 403)
    assert "You do not have access to this page" in visitor.text


def test_somebody_who_is_not_signed_in_is_asked_to(visitor: Browser, tenant: Tenant) -> None:
    visitor.get("/admin/users", follow=False)
    as_script = visitor.get("/admin/users", follow=False, Sec_Fetch_Mode="cors")

    assert visitor.get("/admin/users", follow=False).headers["Location"].startswith(tenant.url)
    assert as_script.status_code == 401


def test_a_script_without_the_role_gets_json(visitor: Browser) -> None:
    answer = visitor.sign_in().get("/admin/users", Sec_Fetch_Mode="cors")

    assert answer.status_code == 403
    assert answer.json()["error"] == "You do not have access to this page"


def test_nobody_has_roles_before_the_sign_in(visitor: Browser) -> None:
    assert visitor.get("/roles").json() == []


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        ("admin", ["admin"]),
        ("admin, reader,,", ["admin", "reader"]),
        (["admin", 1, "", "reader"], ["admin", "reader"]),
        ("", []),
    ],
)
def test_roles_can_come_from_an_attribute_as_text_or_as_a_list(
    attribute_app: RunningApp, tenant: Tenant, claim: object, roles: list[str]
) -> None:
    give(tenant, extension_Roles=claim, roles=["ignored"])
    with Browser(attribute_app.url, tenant) as visitor:
        assert visitor.sign_in().get("/roles").json() == roles


@pytest.mark.parametrize("claim", ["extension_Roles", "roles"])
def test_a_profile_edit_brings_no_role(attribute_app: RunningApp, tenant: Tenant, claim: str) -> None:
    with Browser(attribute_app.url, tenant) as visitor:
        visitor.sign_in()
        callback = visitor.edited_profile_url("Ada King")
        tenant.misbehave(id_token={"set": {claim: "admin"}, "times": 1})
        visitor.get(callback)

        assert visitor.get("/roles").json() == []
        assert visitor.get("/admin/users").status_code == 403


# --- Roles follow the refreshed ID token


def test_a_role_that_was_given_comes_with_the_next_refreshed_token(visitor: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)  # as short as this, every call refreshes
    visitor.sign_in()
    give(tenant, roles=["admin"])
    before = visitor.get("/roles").json()
    visitor.get("/call_downstream_api")

    assert before == []
    assert visitor.get("/roles").json() == ["admin"]


def test_a_role_that_was_taken_away_goes_with_the_next_refreshed_token(
    visitor: Browser, tenant: Tenant
) -> None:
    tenant.option(access_token_lifetime=300)
    give(tenant, roles=["admin"], groups=["g1"])
    visitor.sign_in()
    before = visitor.get("/roles").json()
    tenant.recover()
    visitor.get("/call_downstream_api")

    assert before == ["admin"]
    assert visitor.get("/roles").json() == []
    assert "groups" not in visitor.get("/token_details").text


def test_a_changed_name_comes_with_the_next_refreshed_token(visitor: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    visitor.sign_in()
    give(tenant, name="Ada King")
    visitor.get("/call_downstream_api")

    assert visitor.signed_in_as() == "Ada King"


def test_a_refreshed_token_does_not_undo_an_edit(visitor: Browser, tenant: Tenant) -> None:
    tenant.option(access_token_lifetime=300)
    visitor.sign_in()
    visitor.get(visitor.edited_profile_url("Ada King"))
    visitor.get("/call_downstream_api")

    assert visitor.signed_in_as() == "Ada King"
