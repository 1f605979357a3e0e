"""Cookies of sibling sites that fill the Cookie header: the browser recovers."""

from tests.helpers.person import Person

LARGEST = 4_000  # characters; browsers keep no larger cookie


def add_cookies(person: Person, *lengths: int) -> None:
    """Set cookies as another site of the same domain can."""
    for number, length in enumerate(lengths):
        cookie = {"name": f"sibling{number}", "value": "x" * length, "url": person.app_url}
        person.context.add_cookies([cookie])  # type: ignore[list-item]


def siblings(person: Person) -> int:
    return sum(cookie.get("name", "").startswith("sibling") for cookie in person.context.cookies())


def test_a_browser_that_sends_too_many_cookies_loses_ours_and_goes_on(person: Person) -> None:
    person.be_signed_in().go("/reset_password")  # a user flow that waits, and has a cookie
    add_cookies(person, LARGEST, LARGEST, LARGEST, 3_900)

    person.go("/")
    assert person.heading == "This browser sends too many cookies"
    person.click("Home")

    assert person.page.get_by_role("link", name="Sign in").is_visible()
    assert siblings(person) == 4


def test_a_browser_whose_other_cookies_are_too_many_loses_them_all(person: Person) -> None:
    person.be_signed_in()
    add_cookies(person, *[LARGEST] * 6)

    person.go("/")
    assert person.heading == "This browser sends too many cookies"
    person.click("Home")

    assert person.page.get_by_role("link", name="Sign in").is_visible()
    assert siblings(person) == 0
