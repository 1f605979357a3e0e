"""Who is signed in, for how long, and what the stores hold: the promises, from outside, for both stores."""

import itertools
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import time_machine

from b2c import Seal, authority, records
from tests.browser import Browser, Forms
from tests.conftest import ROOT, RunningApp
from tests.processes import Redis, wait_until

SESSION = "b2c_session"
IDLE, ABSOLUTE = 10, 25  # minutes, for the apps whose sessions are to run out


class SqliteFile:
    """The embedded store, as somebody with the file in hands sees it."""

    def __init__(self, folder: Path):
        self.file = folder / "sessions.sqlite3"
        self.settings = {"SESSION_DIR": str(folder)}
        self._version = None

    def run(self, statement: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.file, timeout=5, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def names(self) -> set[str]:
        return {name for (name,) in self.run("SELECT name FROM records WHERE expires > ?", time.time())}

    def get(self, name: str) -> bytes:
        return self.run("SELECT CAST(value AS BLOB) FROM records WHERE name = ?", name)[0][0]

    def put(self, name: str, value: bytes) -> None:
        self.run("UPDATE records SET value = CAST(? AS TEXT) WHERE name = ?", value, name)

    def seconds_left(self, name: str) -> float:
        return self.run("SELECT expires FROM records WHERE name = ?", name)[0][0] - time.time()

    def expire(self, name: str, seconds: float) -> None:
        self.run("UPDATE records SET expires = ? WHERE name = ?", time.time() + seconds, name)

    def raw(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.file.parent.iterdir())

    @contextmanager
    def writes(self) -> Iterator[list[int]]:
        """A list that holds the number of changes to the store when the block has ended."""
        counted: list[int] = []
        with closing(sqlite3.connect(self.file, isolation_level=None)) as watcher:
            before = watcher.execute("PRAGMA data_version").fetchone()
            yield counted
            counted.append(int(watcher.execute("PRAGMA data_version").fetchone() != before))

    @contextmanager
    def full(self, app: RunningApp) -> Iterator[None]:
        self.run("VACUUM")
        # A limit of each connection. SQLite raises this one to the present size: not one page more.
        self._on_every_connection(app, "PRAGMA max_page_count = 1")
        yield
        self._on_every_connection(app, "PRAGMA max_page_count = 1000000")

    def _on_every_connection(self, app: RunningApp, statement: str) -> None:
        for connection in app.module.records._store._idle:
            connection.execute(statement)


class RedisKeys:
    """The Redis store, as somebody with access to the Redis server sees it."""

    def __init__(self, server: Redis):
        self.client = server.client
        self.settings = {"REDIS_URL": server.url}

    def names(self) -> set[str]:
        return {name.decode() for name in self.client.scan_iter("*", count=10_000)}

    def get(self, name: str) -> bytes:
        return self.client.get(name)

    def put(self, name: str, value: bytes) -> None:
        self.client.set(name, value, keepttl=True, xx=True)

    def seconds_left(self, name: str) -> float:
        return self.client.pttl(name) / 1000

    def expire(self, name: str, seconds: float) -> None:
        self.client.pexpire(name, int(seconds * 1000))

    def raw(self) -> bytes:
        return b"".join(name.encode() + self.get(name) for name in self.names())

    @contextmanager
    def writes(self) -> Iterator[list[int]]:
        counted: list[int] = []
        before = self._writes()
        yield counted
        counted.append(self._writes() - before)

    def _writes(self) -> int:
        return self.client.info("persistence")["rdb_changes_since_last_save"]

    @contextmanager
    def full(self, app: RunningApp) -> Iterator[None]:
        self.client.config_set("maxmemory", 1)
        yield
        self.client.config_set("maxmemory", 0)


class Instances:
    """Two instances of the app on one store, as on two machines; `settings` are what they have in common."""

    def __init__(self, serve_app: Callable, store: SqliteFile | RedisKeys, **settings: str):
        self.store, self._serve = store, serve_app
        self.first = serve_app(**store.settings, **settings)
        self.settings = store.settings | settings | {"REDIRECT_URI": self.first.environ["REDIRECT_URI"]}
        self.second = self.another()

    def another(self, **settings: str) -> RunningApp:
        return self._serve(**self.settings | settings)


@pytest.fixture(scope="module", params=["embedded", "redis"])
def store(request, tmp_path_factory):
    if request.param == "redis":
        return RedisKeys(request.getfixturevalue("redis_server"))
    return SqliteFile(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def instances(serve_app, store):
    return Instances(serve_app, store)


@pytest.fixture(scope="module")
def short_lived(serve_app, store):
    lifetimes = {"SESSION_IDLE_MINUTES": str(IDLE), "SESSION_ABSOLUTE_MINUTES": str(ABSOLUTE)}
    return Instances(serve_app, store, **lifetimes)


class User(Browser):
    """Somebody who has signed in. `records` are the names of their two records: session, tokens."""

    def __init__(self, instances: Instances, tenant: object, **account: str):
        super().__init__(instances.first.url, tenant)
        before = instances.store.names()
        self.sign_in(**account)
        self.records = sorted(instances.store.names() - before)


@pytest.fixture
def user(instances, tenant):
    with User(instances, tenant) as user:
        yield user


def visit(app: RunningApp, browser: Browser, path: str, method: str = "get") -> requests.Response:
    """A page as a balancer in front of all instances gets it from this one; no redirect is followed."""
    path = path.removeprefix(browser.app_url)
    host = browser.app_url.removeprefix("http://")
    return getattr(browser, method)(app.url + path, follow=False, Host=host)


def who(page: requests.Response) -> str | None:
    """Whom a page greets as signed in."""
    home = Forms(page.text)
    return home.heading.strip().removeprefix("Welcome, ") if "Sign out" in home.text else None


def stranger_with(app: RunningApp, session_id: str) -> requests.Response:
    """What the home page shows to whoever has this session cookie."""
    return requests.get(app.url, headers={"Cookie": f"{SESSION}={session_id}"}, timeout=10)


class Late:
    """A request that waits inside the app, for the tenant or the API, until it is released."""

    def __init__(self, tenant: object, leg: str, send: Callable[[], requests.Response]):
        self._tenant = tenant
        tenant.misbehave(**{leg: {"hold": "late", "times": 1}})
        self._pool = ThreadPoolExecutor(1)
        self._answer: Future = self._pool.submit(send)
        wait_until(lambda: tenant.control("GET", "holds"), "the request waits at the tenant")

    def release(self) -> requests.Response:
        self._tenant.control("POST", "release", hold="late")
        self._pool.shutdown()
        return self._answer.result(20)


def late_api_call(browser: Browser, tenant: object, app: RunningApp) -> Late:
    return Late(tenant, "api", lambda: visit(app, browser, "/call_downstream_api"))


def late_refresh(browser: Browser, tenant: object, app: RunningApp) -> Late:
    return Late(tenant, "token", lambda: visit(app, browser, "/call_downstream_api"))


def late_profile_edit(browser: Browser, tenant: object, app: RunningApp) -> Late:
    browser.get("/edit_profile")
    callback = browser.submit("continue", follow=False, displayName="Ada King").headers["Location"]
    return Late(tenant, "token", lambda: visit(app, browser, callback))


def late_sign_in(browser: Browser, tenant: object, app: RunningApp) -> Late:
    callback = browser.callback_url()
    return Late(tenant, "token", lambda: visit(app, browser, callback))


LATE = pytest.mark.parametrize(
    "late",
    [late_api_call, late_refresh, late_profile_edit, late_sign_in],
    ids=["API call", "refresh", "profile edit", "sign-in"],
)


# --- A session begins with a sign-in, and ends with a sign-out ----------------------------------------------


def test_every_sign_in_gets_a_new_session_id(user):
    ids = [user.cookie(SESSION)]
    for _ in range(4):
        ids.append(user.sign_in().cookie(SESSION))

    assert len(set(ids)) == 5
    assert all(len(session_id) >= 43 for session_id in ids)  # 256 random bits


def test_the_session_id_from_before_a_new_sign_in_is_worthless(instances, user):
    before, ended = user.cookie(SESSION), user.records
    user.sign_in()

    assert user.signed_in_as() == "Ada Lovelace"
    assert who(stranger_with(instances.first, before)) is None
    assert not instances.store.names() & set(ended)


@pytest.mark.parametrize("when", ["before the flow", "during the flow"])
@pytest.mark.parametrize("planted", ["invented", "an attacker's session"])
def test_a_planted_session_id_never_becomes_the_users(instances, tenant, planted, when):
    mallory = tenant.add_account("Mallory")
    with Browser(instances.first.url, tenant) as attacker, Browser(instances.first.url, tenant) as victim:
        attacker.sign_in(email=mallory["email"], password=mallory["password"])
        session_id = attacker.cookie(SESSION) if planted == "an attacker's session" else "A" * 43
        plant = lambda: victim.http.cookies.set(SESSION, session_id, domain="localhost.local", path="/")  # noqa: E731
        if when == "before the flow":
            plant()
        callback = victim.callback_url()
        if when == "during the flow":
            plant()
        victim.get(callback)

        assert victim.signed_in_as() == "Ada Lovelace"
        assert victim.cookie(SESSION) != session_id
        assert who(stranger_with(instances.first, session_id)) is None


def test_a_second_user_in_the_same_browser_gets_a_session_of_their_own(instances, user, tenant):
    first = user.records
    user.http.cookies.clear("127.0.0.1")  # the tenant forgets, the app does not
    bob = tenant.add_account("Bob")
    user.sign_in(email=bob["email"], password=bob["password"])

    assert user.signed_in_as() == "Bob"
    assert not instances.store.names() & set(first)


def test_the_cookie_from_before_sign_out_is_worthless_at_every_instance(instances, user):
    before = user.cookie(SESSION)
    assert who(visit(instances.second, user, "/")) == "Ada Lovelace"
    user.post("/logout")

    assert user.cookie(SESSION) is None
    for app in (instances.first, instances.second):
        page = stranger_with(instances.first, before)
        assert (page.status_code, who(page)) == (200, None), app.url


def test_sign_out_leaves_nothing_of_the_session_in_the_store(instances, user):
    ended = user.records
    assert set(ended) <= instances.store.names()
    user.post("/logout")

    assert not instances.store.names() & set(ended)


@LATE
@pytest.mark.parametrize("where", ["at the same instance", "at another instance"])
def test_a_request_that_ends_after_sign_out_brings_nobody_back(instances, tenant, late, where):
    names = instances.store.names()
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        before = browser.sign_in().cookie(SESSION)
        request = late(browser, tenant, instances.first)
        elsewhere = instances.first if where == "at the same instance" else instances.second
        visit(elsewhere, browser, "/logout", "post")
        answer = request.release()

        assert SESSION not in answer.cookies
        assert answer.status_code < 500
        assert browser.signed_in_as() is None
        assert who(stranger_with(instances.first, before)) is None
        assert instances.store.names() <= names


@LATE
def test_a_request_that_ends_after_the_next_sign_in_leaves_the_new_session_alone(instances, tenant, late):
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser:
        tenant.option(access_token_lifetime=300 if late is late_refresh else 3600)
        browser.sign_in()
        request = late(browser, tenant, instances.first)
        browser.post("/logout")
        browser.sign_in(email=bob["email"], password=bob["password"])
        mine = browser.cookie(SESSION)
        answer = request.release()

        assert SESSION not in answer.headers.get("Set-Cookie", "")
        assert browser.cookie(SESSION) == mine
        assert browser.signed_in_as() == "Bob"


def test_a_refresh_that_ends_after_sign_out_does_not_lead_back_into_a_sign_in(instances, tenant):
    """The tenant may still know the user at that moment, and would sign them in again unasked."""
    tenant.option(access_token_lifetime=300)
    with Browser(instances.first.url, tenant) as browser:
        browser.sign_in()
        request = late_refresh(browser, tenant, instances.first)
        visit(instances.second, browser, "/logout", "post")
        answer = request.release()

        assert "Location" not in answer.headers
        assert answer.status_code == 409


def test_two_tabs_of_a_signed_in_user_can_finish_a_sign_in_at_the_same_moment(instances, user, tenant):
    """As when a browser brings back tabs whose session needs a new sign-in."""
    callbacks = [user.callback_url(), user.callback_url()]
    request = Late(tenant, "token", lambda: visit(instances.first, user, callbacks[0]))
    answers = [user.get(callbacks[1], follow=False), request.release()]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert user.signed_in_as() == "Ada Lovelace"


def test_a_sign_in_of_another_user_never_takes_over_what_the_first_has_begun(instances, tenant):
    """Two tabs, two users: the later answer must not come back with the other's session."""
    bob = tenant.add_account("Bob")
    with Browser(instances.first.url, tenant) as browser, Browser(instances.first.url, tenant) as clean:
        adas = browser.sign_in().callback_url()
        clean.get(browser.get("/login", follow=False).headers["Location"])
        clean.submit("next", follow=False, email=bob["email"], password=bob["password"])
        bobs = clean.page.headers["Location"]
        request = Late(tenant, "token", lambda: visit(instances.first, browser, adas))
        assert visit(instances.second, browser, bobs).status_code == 303
        answer = request.release()

        assert answer.status_code == 409
        assert SESSION not in answer.headers.get("Set-Cookie", "")
        assert browser.signed_in_as() == "Bob"


def sent_by_hand(app: RunningApp, instances: Instances, path: str, method: str, cookies: dict) -> Callable:
    """A request with these cookies, whatever the browser's are by now."""
    headers = {
        "Host": instances.first.url.removeprefix("http://"),
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "Accept": "text/html",
        "Sec-Fetch-Site": "same-origin",
    }
    url = app.url + path.removeprefix(instances.first.url)
    return lambda: requests.request(method, url, headers=headers, allow_redirects=False, timeout=30)


class Gate:
    """Stops whoever calls this function, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, records: object, name: str):
        self._inside, self._opened = threading.Event(), threading.Event()
        real = getattr(records, name)

        def gated(*args: object, **kwargs: object) -> object:
            self._inside.set()
            assert self._opened.wait(10)
            return real(*args, **kwargs)

        monkeypatch.setattr(records, name, gated)

    def reached(self) -> None:
        assert self._inside.wait(10)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture(params=["at the same instance", "at another instance"])
def elsewhere(request, instances):
    return instances.first if request.param == "at the same instance" else instances.second


def test_sign_out_ends_the_session_of_a_sign_in_whose_answer_is_still_on_its_way(
    instances, tenant, elsewhere
):
    names = instances.store.names()
    with Browser(instances.first.url, tenant) as browser:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        signed_in = sent_by_hand(instances.first, instances, callback, "GET", before)()
        assert who(stranger_with(instances.first, signed_in.cookies[SESSION])) == "Ada Lovelace"
        signed_out = sent_by_hand(elsewhere, instances, "/logout", "POST", before)()

    assert signed_out.status_code == 303
    assert who(stranger_with(instances.first, signed_in.cookies[SESSION])) is None
    assert not {name for name in instances.store.names() - names if name.startswith(("session", "tokens"))}


def test_sign_out_ends_every_session_that_has_followed(instances, tenant, elsewhere):
    with Browser(instances.first.url, tenant) as browser:
        first = browser.sign_in().cookies
        last = [browser.sign_in().cookie(SESSION) for _ in range(3)][-1]
        sent_by_hand(elsewhere, instances, "/logout", "POST", first)()

    assert who(stranger_with(instances.first, last)) is None


def test_a_sign_in_that_ends_while_sign_out_is_under_way_signs_nobody_in(
    instances, tenant, elsewhere, monkeypatch
):
    with Browser(instances.first.url, tenant) as browser, ThreadPoolExecutor(1) as pool:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        gate = Gate(monkeypatch, elsewhere.module.records, "sign_out")
        signed_out = pool.submit(sent_by_hand(elsewhere, instances, "/logout", "POST", before))
        gate.reached()
        signed_in = sent_by_hand(instances.first, instances, callback, "GET", before)()
        gate.open()

        assert signed_out.result().status_code == 303
        assert SESSION in signed_in.cookies
        assert who(stranger_with(instances.first, signed_in.cookies[SESSION])) is None


def test_sign_out_waits_for_a_sign_in_that_is_just_replacing_the_session(
    instances, tenant, elsewhere, monkeypatch
):
    """The old session has ended already, and nothing tells yet which one follows."""
    with Browser(instances.first.url, tenant) as browser, ThreadPoolExecutor(2) as pool:
        callback = browser.sign_in().callback_url()
        before = browser.cookies
        gate = Gate(monkeypatch, instances.first.module.records, "_make")
        signed_in = pool.submit(sent_by_hand(instances.first, instances, callback, "GET", before))
        gate.reached()
        signed_out = pool.submit(sent_by_hand(elsewhere, instances, "/logout", "POST", before))
        time.sleep(0.1)
        gate.open()

        assert signed_out.result().status_code == 303
        assert who(stranger_with(instances.first, signed_in.result().cookies[SESSION])) is None


# --- What the store holds -----------------------------------------------------------------------------------


def test_nothing_in_the_store_can_be_read(instances, user, tenant):
    user.get("/call_downstream_api")
    [call] = tenant.seen("api")
    [redeemed] = [seen["form"] for seen in tenant.seen("token")]
    email = tenant.account["email"]
    raw = instances.store.raw()

    assert len(raw) > 2000
    secrets = {
        "access token": call["headers"]["Authorization"].removeprefix("Bearer "),
        "head of any token": call["headers"]["Authorization"].removeprefix("Bearer ").partition(".")[0],
        "code": redeemed["code"][0],
        "client secret": tenant.settings["CLIENT_SECRET"],
        "name": "Lovelace",
        "sub": tenant.account["sub"],
        "e-mail": email,
        "refresh token": "refresh_token",
    }
    assert [what for what, secret in secrets.items() if secret.encode() in raw] == []


def test_the_store_does_not_hold_the_cookies_that_open_its_sessions(instances, user):
    held = user.cookie(SESSION).encode() in instances.store.raw()

    assert not held


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


def test_nothing_from_the_store_is_unpickled(instances, user, tmp_path):
    for name in user.records:
        instances.store.put(name, pickle.dumps(Exploit(tmp_path / "unpickled"), protocol=0))
    user.get("/")
    user.get("/call_downstream_api", follow=False)

    assert not (tmp_path / "unpickled").exists()


def under_another_key(name: str, sealed: bytes) -> str | bytes:
    return Seal(["another key of forty characters, at least"]).seal(name, {"started": time.time()})


def with_another_end(name: str, sealed: bytes) -> bytes:
    return sealed[:-10] + (b"A" if sealed[-10:-9] != b"A" else b"B") + sealed[-9:]


DAMAGE = {
    "one bit": lambda name, sealed: sealed[:100] + bytes([sealed[100] ^ 1]) + sealed[101:],
    "other end": with_another_end,
    "truncated": lambda name, sealed: sealed[:60],
    "empty": lambda name, sealed: b"",
    "no UTF-8": lambda name, sealed: sealed[:50] + b"\xff\xfe" + sealed[52:],
    "not ASCII": lambda name, sealed: "é".encode() + sealed[2:],
    "in clear": lambda name, sealed: b'["' + name.encode() + b'", {"started": 9999999999}]',
    "foreign key": under_another_key,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_session_record_means_signed_out(instances, user, damage):
    name, _ = user.records
    instances.store.put(name, damage(name, instances.store.get(name)))
    home, details = user.get("/"), user.get("/token_details")

    assert (home.status_code, who(home)) == (200, None)
    assert details.status_code == 401
    assert user.get("/call_downstream_api", follow=False).status_code == 302
    assert user.sign_in().signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_tokens_mean_signing_in_again(instances, user, damage):
    _, name = user.records
    instances.store.put(name, damage(name, instances.store.get(name)))
    page = user.get("/call_downstream_api", follow=False)

    assert page.status_code == 302
    assert "oauth2/v2.0/authorize" in page.headers["Location"]
    assert user.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("which", [0, 1], ids=["session", "tokens"])
def test_a_record_copied_from_another_session_is_not_believed(instances, user, tenant, which):
    mallory = tenant.add_account("Mallory")
    with User(instances, tenant, email=mallory["email"], password=mallory["password"]) as attacker:
        instances.store.put(attacker.records[which], instances.store.get(user.records[which]))

        page = attacker.get("/call_downstream_api", follow=False)

        assert page.status_code == 302
        assert "Ada" not in attacker.get("/").text


JUNK = ["", "x", "A" * 4000, "session:1", "../../etc/passwd", "%00", "\u00e9", '"\\351"', "a b", "\ud7ff"]


@pytest.mark.parametrize("junk", JUNK, ids=ascii)
def test_a_junk_session_cookie_is_no_session(shared_app, junk):
    cookie = f"{SESSION}={junk}".encode()
    page = requests.get(shared_app.url, headers={"Cookie": cookie}, timeout=10)

    assert (page.status_code, who(page)) == (200, None)


@pytest.mark.parametrize("junk", JUNK, ids=ascii)
def test_a_junk_cookie_of_a_pending_sign_in_is_refused(shared_app, junk):
    url = f"{shared_app.url}/getAToken?code=x&state=s"
    page = requests.get(url, headers={"Cookie": f"b2c_flow_s={junk}".encode()}, timeout=10)

    assert page.status_code == 400


# --- Keys, lifetimes and writes -----------------------------------------------------------------------------

OLD_KEY, NEW_KEY = "an-old-key-of-forty-characters-or-more", "a-new-key-of-forty-characters-or-more"


def test_a_new_secret_key_with_the_old_one_as_fallback_signs_nobody_out(instances, tenant):
    old = instances.another(SECRET_KEY=OLD_KEY)
    new = instances.another(SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=OLD_KEY)
    with Browser(instances.first.url, tenant) as signed_in, Browser(instances.first.url, tenant) as pending:
        visit(old, signed_in, signed_in_at(old, signed_in))
        begun = signed_in_at(old, pending)
        visit(new, pending, begun)

        assert who(visit(new, signed_in, "/")) == "Ada Lovelace"
        assert visit(new, signed_in, "/call_downstream_api").status_code == 200
        assert who(visit(new, pending, "/")) == "Ada Lovelace"


def test_a_new_secret_key_without_fallback_signs_out_cleanly(instances, tenant):
    old, new = instances.another(SECRET_KEY=OLD_KEY), instances.another(SECRET_KEY=NEW_KEY)
    with Browser(instances.first.url, tenant) as browser:
        visit(old, browser, signed_in_at(old, browser))
        home = visit(new, browser, "/")

        assert (home.status_code, who(home)) == (200, None)
        assert visit(new, browser, "/token_details").status_code == 401
        visit(new, browser, signed_in_at(new, browser))
        assert who(visit(new, browser, "/")) == "Ada Lovelace"


def signed_in_at(app: RunningApp, browser: Browser) -> str:
    """The address that the tenant sends the browser back to, after a sign-in begun at this instance."""
    begun = visit(app, browser, "/login")
    browser.get(begun.headers["Location"], follow=False)
    if browser.page.status_code == 200:
        account = browser.tenant.account
        browser.submit("next", follow=False, email=account["email"], password=account["password"])
    return browser.page.headers["Location"]


def test_a_sign_in_may_start_at_one_instance_and_end_at_another(instances, tenant):
    with Browser(instances.first.url, tenant) as browser:
        callback = signed_in_at(instances.first, browser)
        visit(instances.second, browser, callback)

        assert browser.signed_in_as() == "Ada Lovelace"


def test_a_restarted_app_knows_its_sessions(instances, user):
    restarted = instances.another()

    assert who(visit(restarted, user, "/")) == "Ada Lovelace"
    assert visit(restarted, user, "/call_downstream_api").status_code == 200


@contextmanager
def at(minutes: float, start: float) -> Iterator[None]:
    with time_machine.travel(start + minutes * 60, tick=True):
        yield


def test_a_session_that_nobody_uses_ends(short_lived, tenant):
    start = time.time()
    with User(short_lived, tenant) as browser:
        if isinstance(short_lived.store, RedisKeys):  # Redis has a clock of its own, which cannot be moved
            left = [short_lived.store.seconds_left(name) for name in browser.records]
            assert all(IDLE * 60 - 30 < seconds <= IDLE * 60 for seconds in left)
            return
        with at(IDLE - 0.5, start):
            assert browser.signed_in_as() == "Ada Lovelace"
        with at(2 * IDLE, start):
            assert browser.signed_in_as() is None


def test_using_a_session_moves_its_idle_limit_and_the_tokens_with_it(short_lived, tenant):
    start = time.time()
    with User(short_lived, tenant) as browser:
        browser.get("/")
        names = browser.records
        before = [short_lived.store.seconds_left(name) for name in names]
        with at(IDLE / 2, start):
            browser.get("/")
            moved_clock = IDLE / 2 * 60 if isinstance(short_lived.store, SqliteFile) else 0
            after = [short_lived.store.seconds_left(name) + moved_clock for name in names]

        for earlier, later in zip(before, after, strict=True):
            assert later - earlier > (IDLE / 2 * 60 - 30 if moved_clock else -30)
        assert all(abs(seconds - moved_clock - IDLE * 60) < 30 for seconds in after)


def test_no_use_keeps_a_session_beyond_its_absolute_lifetime(short_lived, tenant):
    start = time.time()
    with User(short_lived, tenant) as browser:
        for minutes in (IDLE - 1, 2 * IDLE - 2, ABSOLUTE - 1):
            with at(minutes, start):
                assert browser.signed_in_as() == "Ada Lovelace", minutes
                left = short_lived.store.seconds_left(browser.records[1])
                assert left <= (ABSOLUTE - minutes) * 60 + 1
        with at(ABSOLUTE + 0.1, start):
            assert browser.signed_in_as() is None


def test_reading_does_not_write(instances, user):
    user.get("/")  # moves the idle limit, once for a while
    with instances.store.writes() as writes:
        for path in ("/", "/token_details", "/call_downstream_api") * 5:
            assert user.get(path).status_code == 200

    assert writes == [0]


def test_visitors_write_nothing(instances, tenant):
    with instances.store.writes() as writes, Browser(instances.first.url, tenant) as visitor:
        for path in ("/", "/login", "/token_details", "/call_downstream_api", "/nowhere", "/healthz"):
            visitor.get(path, follow=False)
        visitor.callback_url()
        visitor.post("/logout", follow=False)
        stranger_with(instances.first, "A" * 43)

    assert writes == [0]


def test_many_visitors_and_users_sign_nobody_out(instances, user):
    """More than the 500 that file stores of Flask-Session keep; straight at the app, to save time."""
    app = instances.first.module.app
    client = app.test_client()
    for _ in range(300):  # visitors write nothing (above), so that more of them would not show more
        client.get("/", headers={"Host": instances.first.url.removeprefix("http://")})
    for _ in range(700):
        instances.first.module.records.start({"started": int(time.time())}, "{}")

    assert user.signed_in_as() == "Ada Lovelace"
    assert user.get("/call_downstream_api").status_code == 200


def test_expired_records_go_away_at_a_bounded_cost(serve_app, tmp_path):
    store = SqliteFile(tmp_path / "sessions")
    sessions = serve_app(**store.settings).module.records
    now, expired = int(time.time()), 1_000
    store.run(
        "WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?)"
        " INSERT INTO records SELECT 'session:' || i, 'value', ? FROM numbers",
        expired,
        now - 60,
    )
    left = [expired]
    while left[-1] and len(left) < 200:
        sessions.start({"started": now}, "{}")
        left.append(store.run("SELECT count(*) FROM records WHERE expires < ?", now)[0][0])

    removed = [earlier - later for earlier, later in itertools.pairwise(left)]
    assert left[-1] == 0
    assert max(removed) <= 250


# --- Parallel requests when the access token has expired ----------------------------------------------------


def call_api(app: RunningApp, host: str, session_id: str) -> int:
    headers = {"Host": host, "Cookie": f"{SESSION}={session_id}", "Accept": "text/html"}
    url = f"{app.url}/call_downstream_api"
    return requests.get(url, headers=headers, timeout=30, allow_redirects=False).status_code


def test_parallel_requests_with_an_expired_token_cause_one_refresh(instances, tenant):
    tenant.option(access_token_lifetime=300, refresh_token_reuse=False)
    with Browser(instances.first.url, tenant) as browser:
        session_id = browser.sign_in().cookie(SESSION)
        tenant.option(access_token_lifetime=3600)
        tenant.misbehave(token={"delay": 0.2})
        tenant.forget_requests()
        host = browser.app_url.removeprefix("http://")
        with ThreadPoolExecutor(8) as pool:
            apps = [instances.first, instances.second] * 4
            statuses = list(pool.map(lambda app: call_api(app, host, session_id), apps))

        assert statuses == [200] * 8
        assert len(tenant.seen("token")) == 1
        assert browser.signed_in_as() == "Ada Lovelace"


def test_the_newest_refresh_token_is_the_one_that_is_kept(instances, tenant):
    tenant.option(access_token_lifetime=300, refresh_token_reuse=False)
    with Browser(instances.first.url, tenant) as browser:
        session_id = browser.sign_in().cookie(SESSION)
        host = browser.app_url.removeprefix("http://")
        tenant.forget_requests()
        for _ in range(2):
            with ThreadPoolExecutor(4) as pool:
                apps = [instances.first, instances.second] * 2
                statuses = list(pool.map(lambda app: call_api(app, host, session_id), apps))
            assert statuses == [200] * 4

        used = [seen["form"]["refresh_token"][0] for seen in tenant.seen("token")]
        assert len(used) == len(set(used)) == 8  # every token was close to its end, so each call refreshed
        assert browser.signed_in_as() == "Ada Lovelace"


def test_a_refresher_that_dies_holds_others_up_only_until_its_lease_ends(instances, tenant):
    tenant.option(access_token_lifetime=300)
    with User(instances, tenant) as browser:
        before = instances.store.names()
        dying = late_refresh(browser, tenant, instances.first)
        [lease] = instances.store.names() - before
        assert instances.store.seconds_left(lease) <= records.LEASE
        instances.store.expire(lease, 0.7)
        began = time.monotonic()
        page = visit(instances.second, browser, "/call_downstream_api")
        took = time.monotonic() - began
        dying.release()

        assert page.status_code == 200
        assert 0.5 < took < 3


def test_waiting_in_vain_for_another_refresh_is_not_blamed_on_the_store(instances, tenant, monkeypatch):
    monkeypatch.setattr(records, "PATIENCE", 1)
    tenant.option(access_token_lifetime=300)
    with User(instances, tenant) as browser:
        hanging = late_refresh(browser, tenant, instances.first)
        page = visit(instances.second, browser, "/call_downstream_api")
        hanging.release()

        assert page.status_code == 503
        assert "The sign-in service does not answer" in page.text
        assert browser.signed_in_as() == "Ada Lovelace"


def test_the_lease_of_a_refresh_outlasts_its_call_to_the_tenant():
    """Else a second request would redeem the same refresh token while the first still waits."""
    connect, read = authority.TIMEOUT
    assert 2 * connect + authority.DEADLINE + read < records.LEASE


# --- A store that fails -------------------------------------------------------------------------------------


def start_app(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess:
    code = "import app"
    command = [sys.executable, "-c", code]
    environ = settings | {"SESSION_DIR": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20)


def a_file(folder: Path) -> Path:
    folder.write_text("not a folder")
    return folder


def below_a_file(folder: Path) -> Path:
    return a_file(folder) / "sessions"


def garbage(folder: Path) -> Path:
    folder.mkdir()
    (folder / "sessions.sqlite3").write_bytes(b"garbage, " * 1000)
    return folder


def not_writable(_: Path) -> Path:
    return Path("/proc/sessions")


@pytest.mark.parametrize("prepare", [a_file, below_a_file, garbage, not_writable])
def test_a_folder_that_cannot_be_used_is_one_clear_line_at_the_start(tenant, tmp_path, prepare):
    folder = prepare(tmp_path / "sessions")
    started = start_app(folder, tenant.settings)

    assert started.returncode == 1
    [line] = started.stderr.splitlines()
    assert line.startswith(f"SESSION_DIR {folder} cannot be used: ")


def test_files_and_folder_are_the_owners_alone(serve_app, tenant, tmp_path):
    folder = tmp_path / "new" / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()

        files = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
        assert files
        assert set(files.values()) == {"0o600"}
        assert oct(folder.stat().st_mode & 0o777) == "0o700"


def test_a_full_store_is_said_on_sign_in_and_hurts_nobody_who_is_signed_in(instances, user, tenant):
    with Browser(instances.first.url, tenant) as newcomer:
        callback = newcomer.callback_url()
        with instances.store.full(instances.first):
            refused = newcomer.get(callback, follow=False)
            assert refused.status_code == 503
            assert "Location" not in refused.headers
            assert user.signed_in_as() == "Ada Lovelace"
            assert user.get("/call_downstream_api").status_code == 200

        assert newcomer.sign_in().signed_in_as() == "Ada Lovelace"


def test_a_store_without_its_table_is_a_clear_503(serve_app, tenant, tmp_path):
    store = SqliteFile(tmp_path / "sessions")
    app = serve_app(**store.settings)
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        store.run("DROP TABLE records")

        assert browser.get("/").status_code == 200
        assert browser.get("/token_details").status_code == 503
        assert browser.get("/call_downstream_api", follow=False).status_code == 503


@pytest.fixture(params=["down", "hanging"])
def outage(request, tmp_path):
    """A Redis server, how it fails and how it comes back."""
    with Redis(tmp_path) as server:
        if request.param == "down":
            yield server, lambda: server.stop(signal.SIGKILL), server.start
        else:
            yield server, lambda: server.send(signal.SIGSTOP), lambda: server.send(signal.SIGCONT)


def test_without_redis_pages_answer_soon_and_afterwards_all_is_as_before(serve_app, tenant, outage):
    server, fail, come_back = outage
    app = serve_app(REDIS_URL=server.url)
    with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
        browser.sign_in()
        asked = {
            "home": (browser, "get", "/", {}),
            "home, for a stranger": (stranger, "get", "/", {}),
            "claims": (browser, "get", "/token_details", {}),
            "API": (browser, "get", "/call_downstream_api", {}),
            "sign-out": (browser, "post", "/logout", {}),
            "script": (browser, "get", "/call_downstream_api", {"Accept": "application/json"}),
        }
        fail()
        with ThreadPoolExecutor(8) as pool:
            sent = {
                what: pool.submit(getattr(person, method), path, follow=False, **headers)
                for what, (person, method, path, headers) in asked.items()
            }
            answers = {what: answer.result() for what, answer in sent.items()}
        come_back()

        assert {what: answer.status_code for what, answer in answers.items()} == {
            "home": 200,
            "home, for a stranger": 200,
            "claims": 503,
            "API": 503,
            "sign-out": 503,
            "script": 503,
        }
        assert max(answer.elapsed for answer in answers.values()) < timedelta(seconds=2.5)
        assert answers["API"].headers["Retry-After"]
        wait_until(lambda: browser.signed_in_as() == "Ada Lovelace", "the app asks the store again")
        assert browser.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/edit_profile"])
def test_a_user_flow_that_returns_without_redis_says_so_and_can_be_finished_later(
    serve_app, tenant, tmp_path, path
):
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in().get(path, follow=False)
            browser.follow()
            if path == "/edit_profile":
                browser.submit("continue", follow=False, displayName="Ada King")
            callback = browser.page.headers["Location"]
            server.stop(signal.SIGKILL)
            page = browser.get(callback, follow=False)
            server.start()

            assert page.status_code == 503
            wait_until(lambda: browser.get(callback).status_code == 200, "the app asks the store again")
            assert browser.signed_in_as() == ("Ada King" if path == "/edit_profile" else "Ada Lovelace")


def test_a_sign_in_during_which_redis_fails_and_returns_ends_the_former_session(serve_app, tenant, tmp_path):
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            before = browser.sign_in().cookie(SESSION)
            callback = browser.callback_url()
            server.send(signal.SIGSTOP)
            tenant.misbehave(token={"hold": "late", "times": 1})
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(browser.get, callback)
                wait_until(lambda: tenant.control("GET", "holds") or answer.done(), "the store timed out")
                server.send(signal.SIGCONT)
                tenant.control("POST", "release", hold="late")
            answer.result()

            wait_until(lambda: browser.signed_in_as() == "Ada Lovelace", "the app asks the store again")
            if browser.cookie(SESSION) != before:
                assert who(stranger_with(app, before)) is None


def test_a_store_that_hangs_is_not_waited_for_by_everybody_in_turn(serve_app, tenant, tmp_path):
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            server.send(signal.SIGSTOP)
            browser.get("/token_details")
            again = [browser.get(path) for path in ("/token_details", "/call_downstream_api", "/")]
            server.send(signal.SIGCONT)

        assert [page.status_code for page in again] == [503, 503, 200]
        assert max(page.elapsed for page in again) < timedelta(seconds=0.5)


def test_a_stranger_can_begin_to_sign_in_while_the_store_is_down(serve_app, tenant, tmp_path):
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser, Browser(app.url, tenant) as stranger:
            browser.sign_in()
            server.stop(signal.SIGKILL)
            assert browser.get("/token_details").status_code == 503

            assert stranger.get("/login", follow=False).status_code == 302


def test_a_profile_edit_whose_saving_fails_is_503(serve_app, tenant, tmp_path):
    with Redis(tmp_path) as server:
        app = serve_app(REDIS_URL=server.url)
        with Browser(app.url, tenant) as browser:
            browser.sign_in()
            request = late_profile_edit(browser, tenant, app)
            server.stop(signal.SIGKILL)
            answer = request.release()
            server.start()

            assert answer.status_code == 503
            assert browser.signed_in_as() == "Ada Lovelace"


def test_redis_is_not_needed_for_starting(serve_app, tenant, tmp_path):
    app = serve_app(REDIS_URL=f"unix://{tmp_path}/nobody-listens")
    with Browser(app.url, tenant) as visitor:
        assert visitor.get("/").status_code == 200
        assert visitor.get("/login").status_code == 200


def test_a_folder_that_vanishes_is_a_clear_503_until_the_app_is_started_again(serve_app, tenant, tmp_path):
    folder = tmp_path / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()
        shutil.rmtree(folder)
        while app.module.records._store._idle:  # as threads without a connection of their own find it
            app.module.records._store._idle.pop().close()

        assert browser.get("/").status_code == 200
        assert browser.get("/token_details").status_code == 503
