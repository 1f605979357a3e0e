"""How usable each page is: axe, the keyboard, narrow screens, colour schemes."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect

from tests.browser.conftest import SitDown
from tests.helpers.person import Person, focused, tab_to
from tests.helpers.tenant import Fault


def test_the_first_tab_stop_skips_to_the_content(person: Person) -> None:
    person.be_signed_in().go("/")
    tab_to(person, "Skip to content")
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("Tab")

    assert focused(person) == "Edit profile"


def test_the_focus_can_be_seen_at_every_stop(person: Person) -> None:
    person.be_signed_in().go("/call_downstream_api")
    outlines = {}
    for _ in range(12):
        person.page.keyboard.press("Tab")
        outlines[focused(person)] = person.page.evaluate(
            "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
        )
    stops = {"Sign out", "Home", "Token details", "Call again"}

    assert stops < outlines.keys()
    assert min(outlines.values()) >= 3, outlines


API_FAULTS: dict[str, Fault] = {
    "redirect": {"status": 302, "headers": {"Location": "https://other.example/" + "a" * 300}},
    "huge": {"body": {"tasks": ["x" * 2000] * 60}, "content_type": "application/json"},
}

APP_PAGES = {
    "home": "/",
    "api": "/call_downstream_api",
    "sessions": "/sessions",
    "token-details": "/token_details",
    "not-found": "/nowhere",
}


Go = Callable[[Person], object]


def at_app_page(path: str) -> Go:
    return lambda person: person.go(path)


def at_api_fault(fault: Fault) -> Go:
    def go(person: Person) -> None:
        person.tenant.misbehave(api=fault)
        person.go("/call_downstream_api")

    return go


def at_setup_fault(person: Person) -> None:
    person.tenant.misbehave(authorize={"error": {"code": "AADB2C90117"}})
    person.go("/login").page.get_by_text("If you run this site").click()


def at_sign_out_question(person: Person) -> None:
    person.go(person.tenant.url).page.evaluate(f"location.href = '{person.app_url}/logout'")
    expect(person.page.locator("h1")).to_have_text("Sign out?")


SIGNED_OUT: dict[str, Go] = {
    "home": at_app_page("/"),
    "please-sign-in": at_app_page("/token_details"),
    "not-found": at_app_page("/nowhere"),
    "lost-flow": at_app_page("/getAToken?state=none"),
    "set-up-fault": at_setup_fault,
    "sign-out-question": at_sign_out_question,
}

SIGNED_IN: dict[str, Go] = {
    **{name: at_app_page(path) for name, path in APP_PAGES.items()},
    **{f"api-{name}": at_api_fault(fault) for name, fault in API_FAULTS.items()},
    "sign-out-question": at_sign_out_question,
}

TENANT: dict[str, Go] = {
    "home": lambda person: person.go(person.tenant.url),
    "mailbox": lambda person: person.go(f"{person.tenant.url}/mailbox"),
    "sign-in": lambda person: person.go("/login"),
    "sign-in-refused": lambda person: person.sign_in("nobody@example.com"),
    "sign-up": lambda person: person.go("/login").press("createAccount"),
    "sign-up-code": lambda person: (
        person.go("/login").press("createAccount").fill(email="axe@example.com").press("sendCode")
    ),
    "reset": lambda person: person.go("/reset_password"),
}


def sideways(person: Person) -> int:
    return int(
        person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def assert_usable(person: Person) -> None:
    """axe finds nothing on the page, and on a narrow phone it does not scroll sideways."""
    assert violations(person, {"width": 320, "height": 640}) == []
    assert sideways(person) == 0


def violations(person: Person, narrow: ViewportSize | None = None) -> list[tuple[str, str]]:
    """What axe-core finds on the page, and what the other colour scheme and a narrow window add.

    Besides its usual rules, the one on the size of what one taps on (WCAG 2.2, success criterion 2.5.8).
    """
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    found = Axe().run(person.page, options=options).response["violations"]
    person.page.emulate_media(color_scheme="dark")
    if narrow:
        person.page.set_viewport_size(narrow)
    found += person.page.evaluate("axe.run({runOnly: ['color-contrast', 'target-size']})")["violations"]
    return [(each["id"], node["html"][:200]) for each in found for node in each["nodes"]]


@pytest.mark.parametrize("go", SIGNED_IN.values(), ids=SIGNED_IN)
def test_a_page_for_users_is_accessible_and_fits_even_with_a_very_long_name(
    someone: SitDown, long_name_email: str, go: Go
) -> None:
    person = someone(reduced_motion="reduce").be_signed_in(long_name_email)
    go(person)

    assert_usable(person)


@pytest.mark.parametrize("go", SIGNED_OUT.values(), ids=SIGNED_OUT)
def test_a_page_for_strangers_is_accessible_and_fits(someone: SitDown, go: Go) -> None:
    person = someone(reduced_motion="reduce")
    go(person)

    assert_usable(person)


@pytest.mark.parametrize("go", TENANT.values(), ids=TENANT)
def test_axe_finds_nothing_at_the_tenant(someone: SitDown, go: Go) -> None:
    person = someone(reduced_motion="reduce")
    go(person)

    assert violations(person) == []


def test_axe_finds_nothing_at_the_tenants_profile_page(someone: SitDown) -> None:
    person = someone(reduced_motion="reduce").be_signed_in()
    person.go("/edit_profile")

    assert violations(person) == []


def test_markup_in_a_name_is_shown_as_text(person: Person, long_name_email: str) -> None:
    person.be_signed_in(long_name_email).go("/")

    assert "<script>alert(1)</script>" in person.heading


def test_the_background_follows_the_systems_colour_scheme(person: Person) -> None:
    person.go("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = person.page.evaluate(ground)
    person.page.emulate_media(color_scheme="dark")

    assert light == "rgb(243, 246, 245)"
    assert person.page.evaluate(ground) == "rgb(15, 24, 25)"


def test_nothing_moves_with_reduced_motion(someone: SitDown) -> None:
    person = someone(reduced_motion="reduce").go("/")
    durations = "[...document.querySelectorAll('*')].map(it => getComputedStyle(it).transitionDuration)"

    assert set(person.page.evaluate(durations)) == {"0s"}


def test_buttons_keep_an_edge_in_forced_colours(someone: SitDown) -> None:
    person = someone(forced_colors="active").go("/")
    width = "parseFloat(getComputedStyle(document.querySelector('.button.main')).borderTopWidth)"

    assert person.page.evaluate(width) >= 1
