"""What a person meets in a real browser: the journeys, at every kind of window, and how usable each page is.

Every test also fails when the browser complained on its console or asked any host but the app and the tenant.
"""

from itertools import count

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import Tenant
from tests.person import PASSWORD, Person, open_chromium

# A browser that moves on drops its connections, and werkzeug's server leaves open the file it was sending.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*/static/:ResourceWarning")

WINDOWS = {
    "phone-light": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "desktop-no-javascript": {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False},
}
COUNTER = count(1)
LONG_NAME = "Wolfgang <script>alert(1)</script> " + "Pneumonoultramicroscopicsilicovolcanoconiosis" * 6


@pytest.fixture(scope="module")
def chromium():
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def someone(chromium, shared_app, tenant):
    """A function that puts somebody at a fresh browser."""
    people = []

    def sit_down(**window: object) -> Person:
        people.append(Person(chromium.new_context(**window), shared_app.url, tenant))
        return people[-1]

    yield sit_down
    for person in people:
        person.leave()


@pytest.fixture(params=WINDOWS.values(), ids=WINDOWS)
def visitor(request, someone):
    """Somebody at each kind of window in turn."""
    return someone(**request.param)


@pytest.fixture
def person(someone):
    """Somebody at an ordinary window."""
    return someone()


@pytest.fixture
def email(tenant):
    """The e-mail address of a new account, Grace Hopper's."""
    address = f"grace-{next(COUNTER)}@example.com"
    tenant.control("POST", "accounts", email=address, password=PASSWORD, display_name="Grace Hopper")
    yield address
    tenant.control("DELETE", f"accounts/{address}")


@pytest.fixture(scope="module")
def signed_in_state(chromium, shared_app, running_tenant):
    """A function: the cookies of a browser in which somebody with this name is signed in."""
    states = {}

    def state_of(name: str) -> dict:
        if name not in states:
            tenant, email = Tenant(running_tenant), f"{'somebody-' * 5}{len(states)}@example.com"
            tenant.control("POST", "accounts", email=email, password=PASSWORD, display_name=name)
            someone = Person(chromium.new_context(), shared_app.url, tenant)
            expect(someone.sign_in(email).page.get_by_role("status")).to_have_text("You are signed in.")
            states[name] = someone.context.storage_state()
            someone.leave()
        return states[name]

    return state_of


# --- Journeys -----------------------------------------------------------------------------------------------


def test_a_person_signs_in(visitor, email):
    visitor.sign_in(email)

    assert visitor.heading == "Welcome, Grace Hopper"
    assert visitor.notice == "You are signed in."


def test_a_new_person_signs_up_with_a_code_from_the_mailbox(visitor, request):
    address = f"new-{request.node.callspec.id}@example.com"
    visitor.go("/").click("Sign in").press("createAccount")
    visitor.fill(email=address).press("sendCode")
    visitor.fill(code=visitor.code(address)).press("verifyCode")
    visitor.fill(newPassword=PASSWORD, reenterPassword=PASSWORD, displayName="Katherine Johnson")
    visitor.press("create")

    assert visitor.heading == "Welcome, Katherine Johnson"


def test_a_person_calls_the_api(visitor, email):
    visitor.sign_in(email).click("Call a downstream API")

    assert visitor.heading == "The API answered"
    assert '"owner": "Grace Hopper"' in visitor.text


def test_an_edited_name_shows_at_once(visitor, email):
    visitor.sign_in(email).click("Edit profile").fill(displayName="Rear Admiral Hopper").press("continue")

    assert visitor.heading == "Welcome, Rear Admiral Hopper"
    assert visitor.notice == "Your profile has been updated."


def test_a_forgotten_password_is_reset_and_the_new_one_signs_in(person, email):
    person.go("/").click("Sign in").press("forgotPassword")
    person.fill(email=email).press("sendCode")
    person.fill(code=person.code(email)).press("verifyCode")
    person.fill(newPassword="Another-horse-8", reenterPassword="Another-horse-8").press("continue")
    assert person.heading == "Welcome, Grace Hopper"
    person.click("Sign out").sign_in(email, "Another-horse-8")

    assert person.heading == "Welcome, Grace Hopper"


def test_a_password_reset_can_be_begun_on_the_home_page(person, email):
    person.go("/").click("Reset password").fill(email=email).press("sendCode")
    person.fill(code=person.code(email)).press("verifyCode")
    person.fill(newPassword="Another-horse-8", reenterPassword="Another-horse-8").press("continue")

    assert person.notice == "Your password has been changed, and you are signed in."


def test_a_wrong_password_can_be_corrected(person, email):
    person.sign_in(email, "wrong")
    expect(person.page.get_by_role("alert")).to_be_visible()
    person.fill(password=PASSWORD).press("next")

    assert person.heading == "Welcome, Grace Hopper"


def test_cancelling_the_sign_in_leads_back_with_a_notice(person):
    person.go("/").click("Sign in").press("cancel")

    assert person.heading == "Welcome"
    assert person.notice == "Cancelled. Nothing has changed."


def test_cancelling_a_profile_edit_leads_back_to_the_page_it_was_begun_on(person, email):
    person.sign_in(email).click("Token details").click("Edit profile").press("cancel")

    assert person.heading == "Token details"
    assert person.notice == "Cancelled. Nothing has changed."


def test_a_person_signs_out_of_app_and_tenant(visitor, email):
    visitor.sign_in(email).click("Sign out")
    assert visitor.notice == "You are signed out."
    visitor.click("Sign in")

    expect(visitor.page.locator("#password")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/token_details", "/call_downstream_api"])
def test_back_after_sign_out_shows_nothing_personal(person, email, path):
    person.sign_in(email).go(path).click("Sign out")
    expect(person.page.get_by_role("status")).to_have_text("You are signed out.")
    person.page.go_back()

    assert "Grace Hopper" not in person.page.content()


def test_back_after_sign_in_leads_to_no_error(person, email):
    person.sign_in(email)
    expect(person.page.locator("h1")).to_have_text("Welcome, Grace Hopper")
    answer = person.page.go_back()

    assert answer is None or answer.status < 400
    assert person.heading == "Welcome, Grace Hopper"


def test_two_tabs_can_both_sign_in(person, email):
    person.go("/").click("Sign in")
    first, person.page = person.page, person.context.new_page()
    person.go("/").click("Sign in").fill(email=email, password=PASSWORD).press("next")
    assert person.heading == "Welcome, Grace Hopper"
    person.page = first
    person.fill(email=email, password=PASSWORD).press("next")

    assert person.heading == "Welcome, Grace Hopper"


def test_a_notice_is_shown_once(person, email):
    person.sign_in(email)
    expect(person.page.get_by_role("status")).to_be_visible()
    person.page.reload()

    expect(person.page.get_by_role("status")).to_have_count(0)


# --- Keyboard only ------------------------------------------------------------------------------------------


def focused(person: Person) -> str:
    return person.page.evaluate("document.activeElement.innerText || document.activeElement.id")


def tab_to(person: Person, text: str) -> None:
    for _ in range(30):
        person.page.keyboard.press("Tab")
        if focused(person) == text:
            return
    raise AssertionError(f"the Tab key does not get to {text!r}")


def test_the_keyboard_is_enough_to_sign_in(person, email):
    person.go("/")
    tab_to(person, "Sign in")
    person.page.keyboard.press("Enter")
    expect(person.page.locator("#email")).to_be_focused()
    person.page.keyboard.type(email)
    person.page.keyboard.press("Tab")
    person.page.keyboard.type(PASSWORD)
    person.page.keyboard.press("Enter")

    expect(person.page.locator("h1")).to_have_text("Welcome, Grace Hopper")


def test_the_keyboard_is_enough_to_sign_out(person, email):
    person.sign_in(email)
    expect(person.page.locator("h1")).to_have_text("Welcome, Grace Hopper")
    tab_to(person, "Sign out")
    person.page.keyboard.press("Enter")

    expect(person.page.get_by_role("status")).to_have_text("You are signed out.")


def test_the_first_tab_stop_skips_to_the_content(someone, signed_in_state):
    person = someone(storage_state=signed_in_state("Grace Hopper")).go("/")
    tab_to(person, "Skip to content")
    person.page.keyboard.press("Enter")
    person.page.keyboard.press("Tab")

    assert focused(person) == "Call a downstream API"


def test_the_focus_can_be_seen_at_every_stop(someone, signed_in_state):
    person = someone(storage_state=signed_in_state("Grace Hopper")).go("/call_downstream_api")
    outlines = {}
    for _ in range(12):
        person.page.keyboard.press("Tab")
        outlines[focused(person)] = person.page.evaluate(
            "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
        )
    stops = {"Sign out", "Home", "Token details", "Call again"}

    assert stops < outlines.keys()
    assert min(outlines.values()) >= 3, outlines


# --- Every page ---------------------------------------------------------------------------------------------

API_FAULTS = {
    "401": {"status": 401, "headers": {"WWW-Authenticate": 'Bearer error="invalid_token"'}},
    "redirect": {"status": 302, "headers": {"Location": "https://other.example/" + "a" * 300}},
    "not-json": {"body": "<b>no JSON</b> " * 50},
    "huge": {"body": {"tasks": ["x" * 2000] * 60}, "content_type": "application/json"},
}
APP_PAGES = {
    "home": "/",
    "api": "/call_downstream_api",
    "token-details": "/token_details",
    "not-found": "/nowhere",
}


def at_app_page(path):
    return lambda person: person.go(path)


def at_api_fault(fault):
    def go(person):
        person.tenant.misbehave(api=fault)
        person.go("/call_downstream_api")

    return go


def at_setup_fault(person):
    person.tenant.misbehave(authorize={"error": {"code": "AADB2C90117"}})
    person.go("/login").page.get_by_text("If you run this site").click()


def at_sign_out_question(person):
    person.go(person.tenant.url).page.evaluate(f"location.href = '{person.app_url}/logout'")
    expect(person.page.locator("h1")).to_have_text("Sign out?")


SIGNED_OUT = {
    "home": at_app_page("/"),
    "please-sign-in": at_app_page("/token_details"),
    "not-found": at_app_page("/nowhere"),
    "lost-flow": at_app_page("/getAToken?state=none"),
    "set-up-fault": at_setup_fault,
    "sign-out-question": at_sign_out_question,
}
SIGNED_IN = {
    **{name: at_app_page(path) for name, path in APP_PAGES.items()},
    **{f"api-{name}": at_api_fault(fault) for name, fault in API_FAULTS.items()},
    "sign-out-question": at_sign_out_question,
}
TENANT = {
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


def violations(person: Person) -> list[tuple]:
    """What axe-core finds on the page, and what the other colour scheme's contrasts add."""
    found = Axe().run(person.page).response["violations"]
    person.page.emulate_media(color_scheme="dark")
    found += person.page.evaluate("axe.run({runOnly: ['color-contrast']})")["violations"]
    return [(each["id"], node["html"][:200]) for each in found for node in each["nodes"]]


@pytest.mark.parametrize("go", SIGNED_IN.values(), ids=SIGNED_IN)
def test_axe_finds_nothing_when_signed_in(someone, signed_in_state, go):
    person = someone(storage_state=signed_in_state("Grace Hopper"), reduced_motion="reduce")
    go(person)

    assert violations(person) == []


@pytest.mark.parametrize("go", SIGNED_OUT.values(), ids=SIGNED_OUT)
def test_axe_finds_nothing_when_signed_out(someone, go):
    person = someone(reduced_motion="reduce")
    go(person)

    assert violations(person) == []


@pytest.mark.parametrize("go", TENANT.values(), ids=TENANT)
def test_axe_finds_nothing_at_the_tenant(someone, go):
    person = someone(reduced_motion="reduce")
    go(person)

    assert violations(person) == []


def test_axe_finds_nothing_at_the_tenants_profile_page(someone, signed_in_state):
    person = someone(storage_state=signed_in_state("Grace Hopper"), reduced_motion="reduce")
    person.go("/edit_profile")

    assert violations(person) == []


def sideways(person: Person) -> int:
    return person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("go", SIGNED_IN.values(), ids=SIGNED_IN)
def test_no_page_scrolls_sideways_on_a_narrow_phone_even_with_a_very_long_name(someone, signed_in_state, go):
    person = someone(viewport={"width": 320, "height": 640}, storage_state=signed_in_state(LONG_NAME))
    go(person)

    assert sideways(person) == 0


@pytest.mark.parametrize("go", SIGNED_OUT.values(), ids=SIGNED_OUT)
def test_no_page_for_strangers_scrolls_sideways_on_a_narrow_phone(someone, go):
    person = someone(viewport={"width": 320, "height": 640})
    go(person)

    assert sideways(person) == 0


def test_markup_in_a_name_is_shown_and_not_obeyed(someone, signed_in_state):
    person = someone(storage_state=signed_in_state(LONG_NAME)).go("/")

    assert "<script>alert(1)</script>" in person.heading


def test_the_ground_follows_the_systems_colour_scheme(person):
    person.go("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = person.page.evaluate(ground)
    person.page.emulate_media(color_scheme="dark")

    assert light == "rgb(243, 246, 245)"
    assert person.page.evaluate(ground) == "rgb(15, 24, 25)"


def test_nothing_moves_for_those_who_wish_for_less_motion(someone):
    person = someone(reduced_motion="reduce").go("/")
    durations = "[...document.querySelectorAll('*')].map(it => getComputedStyle(it).transitionDuration)"

    assert set(person.page.evaluate(durations)) == {"0s"}


def test_buttons_keep_an_edge_in_forced_colours(someone):
    person = someone(forced_colors="active").go("/")
    width = "parseFloat(getComputedStyle(document.querySelector('.button.main')).borderTopWidth)"

    assert person.page.evaluate(width) >= 1
