"""Who is signed in: sessions begin with a sign-in, under an id of their own, and replace each other."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.helpers.app import RunningApp, ServeApp
from tests.helpers.browser import Browser, greeted
from tests.helpers.stores import Instances, StoreInspector, User, home_with, visit
from tests.helpers.tenant import Tenant
from tests.helpers.waiting import clock_at


def test_every_sign_in_gets_a_new_session_id(user: User) -> None:
    ids = [user.session_id or ""]
    for _ in range(9):
        ids.append(user.sign_in().session_id or "")

    assert len(set(ids)) == 10
    assert all(len(session_id) >= 43 for session_id in ids)  # 256 random bits
    alike = [sum(map(str.__eq__, first, second)) for first, second in itertools.combinations(ids, 2)]
    assert max(alike) < 20


def test_the_session_id_from_before_a_new_sign_in_is_worthless(instances: Instances, user: User) -> None:
    before, ended = user.session_id, user.records
    user.sign_in()

    assert user.signed_in_as() == "Ada Lovelace"
    assert greeted(home_with(instances.first, before)) is None
    assert not instances.store.names() & set(ended)


@pytest.mark.parametrize(
    "planted, when",
    [
        ("invented", "before the flow"),
        ("an attacker's session", "before the flow"),
        ("an attacker's session", "during the flow"),
    ],
)
def test_a_planted_session_id_never_becomes_the_users(
    instances: Instances, tenant: Tenant, planted: str, when: str
) -> None:
    mallory = tenant.add_account("Mallory")
    with Browser(instances.first.url, tenant) as attacker, Browser(instances.first.url, tenant) as victim:
        attackers_id = attacker.sign_in(email=mallory["email"]).session_id
        session_id = attackers_id if planted == "an attacker's session" else "A" * 43
        assert session_id
        if when == "before the flow":
            victim.set_session_id(session_id)
            assert session_id in victim.get("/").request.headers["Cookie"]
        callback = victim.callback_url()
        if when == "during the flow":
            victim.set_session_id(session_id)
        victim.get(callback)

        assert victim.signed_in_as() == "Ada Lovelace"
        assert victim.session_id != session_id
        assert greeted(home_with(instances.first, session_id)) is None


def test_a_second_user_in_the_same_browser_gets_a_session_of_their_own(
    instances: Instances, user: User, tenant: Tenant
) -> None:
    first = user.records
    user.leave_tenant()
    bob = tenant.add_account("Bob")
    user.sign_in(email=bob["email"])

    assert user.signed_in_as() == "Bob"
    assert not instances.store.names() & set(first)


def test_parallel_requests_of_two_users_are_never_mixed_up(
    browser: Browser, shared_app: RunningApp, tenant: Tenant
) -> None:
    bob = tenant.add_account("Bob")
    with Browser(shared_app.url, tenant) as second:
        second.sign_in(email=bob["email"])
        browser.sign_in()
        cookies = {name: b.session_id for name, b in (("Ada Lovelace", browser), ("Bob", second))}

        def ask(name: str) -> bool:
            headers = {"Cookie": f"signin_session={cookies[name]}", "Accept": "text/html"}
            page = requests.get(f"{browser.app_url}/call_downstream_api", headers=headers, timeout=20)
            return page.status_code == 200 and f"&#34;{name}&#34;" in page.text

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(ask, ["Ada Lovelace", "Bob"] * 10))


def test_a_sign_in_may_start_at_one_instance_and_end_at_another(instances: Instances, tenant: Tenant) -> None:
    with Browser(instances.first.url, tenant) as browser:
        callback = signed_in_at(instances.first, browser)
        visit(instances.second, browser, callback)

        assert browser.signed_in_as() == "Ada Lovelace"


def test_a_restarted_app_knows_its_sessions(instances: Instances, user: User) -> None:
    restarted = instances.another()

    assert greeted(visit(restarted, user, "/")) == "Ada Lovelace"
    assert visit(restarted, user, "/call_downstream_api").status_code == 200


IDLE, ABSOLUTE = 10, 25  # minutes, for the apps whose sessions are to run out


@pytest.fixture(scope="module")
def short_lived(serve_app: ServeApp, store: StoreInspector) -> Instances:
    """Instances whose sessions end soon."""
    lifetimes = {"SESSION_IDLE_MINUTES": str(IDLE), "SESSION_ABSOLUTE_MINUTES": str(ABSOLUTE)}
    return Instances(serve_app, store, **lifetimes)


def test_the_records_of_a_session_expire_at_its_idle_limit(short_lived: Instances, tenant: Tenant) -> None:
    with User(short_lived, tenant) as browser:
        left = [short_lived.store.seconds_left(name) for name in browser.records]

    assert all(IDLE * 60 - 30 < seconds <= IDLE * 60 for seconds in left)


def test_a_session_whose_records_have_expired_is_over(short_lived: Instances, tenant: Tenant) -> None:
    with User(short_lived, tenant) as browser:
        assert browser.signed_in_as() == "Ada Lovelace"
        for name in browser.records:
            short_lived.store.expire(name, 0)

        assert browser.signed_in_as() is None


def test_using_a_session_moves_its_idle_limit_and_the_tokens_with_it(
    short_lived: Instances, tenant: Tenant
) -> None:
    with User(short_lived, tenant) as browser, clock_at(time.time() + IDLE / 2 * 60):
        for name in browser.records:
            short_lived.store.expire(name, 60)  # Redis has a clock of its own, which cannot be moved
        browser.get("/")
        left = [short_lived.store.seconds_left(name) for name in browser.records]

    assert all(IDLE * 60 - 30 < seconds <= IDLE * 60 for seconds in left)


def test_a_session_in_use_still_ends_after_its_absolute_lifetime(
    short_lived: Instances, tenant: Tenant
) -> None:
    start = time.time()
    with User(short_lived, tenant) as browser:
        for minutes in (IDLE - 1, 2 * IDLE - 2, ABSOLUTE - 1):
            with clock_at(start + 60 * (minutes)):
                assert browser.signed_in_as() == "Ada Lovelace", minutes
                left = short_lived.store.seconds_left(browser.records[1])
                assert left <= (ABSOLUTE - minutes) * 60 + 1
        with clock_at(start + 60 * (ABSOLUTE + 0.1)):
            assert browser.signed_in_as() is None


OLD_KEY, NEW_KEY = "an-old-key-of-forty-characters-or-more", "a-new-key-of-forty-characters-or-more"


def signed_in_at(app: RunningApp, browser: Browser) -> str:
    """The address that the tenant sends the browser back to, after a sign-in begun at this instance."""
    begun = visit(app, browser, "/login")
    browser.get(begun.headers["Location"], follow=False)
    if browser.page.status_code == 200:
        browser.enter_password(follow=False)
    return browser.location


def test_a_new_secret_key_with_the_old_one_as_fallback_signs_nobody_out(
    instances: Instances, tenant: Tenant
) -> None:
    old = instances.another(SECRET_KEY=OLD_KEY)
    new = instances.another(SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=OLD_KEY)
    with Browser(instances.first.url, tenant) as signed_in, Browser(instances.first.url, tenant) as pending:
        visit(old, signed_in, signed_in_at(old, signed_in))
        begun = signed_in_at(old, pending)
        visit(new, pending, begun)

        assert greeted(visit(new, signed_in, "/")) == "Ada Lovelace"
        assert visit(new, signed_in, "/call_downstream_api").status_code == 200
        assert greeted(visit(new, pending, "/")) == "Ada Lovelace"


def test_a_new_secret_key_without_fallback_signs_out_cleanly(instances: Instances, tenant: Tenant) -> None:
    old, new = instances.another(SECRET_KEY=OLD_KEY), instances.another(SECRET_KEY=NEW_KEY)
    with Browser(instances.first.url, tenant) as browser:
        visit(old, browser, signed_in_at(old, browser))
        home = visit(new, browser, "/")

        assert (home.status_code, greeted(home)) == (200, None)
        assert visit(new, browser, "/token_details").status_code == 401
        visit(new, browser, signed_in_at(new, browser))
        assert greeted(visit(new, browser, "/")) == "Ada Lovelace"
