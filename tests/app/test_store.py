"""What the session store holds, and what is made of records that are damaged."""

import itertools
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.app import ServeApp
from tests.helpers.browser import Browser, greeted
from tests.helpers.stores import Instances, SqliteFile, User, home_with
from tests.helpers.tenant import Tenant


def test_nothing_in_the_store_can_be_read(instances: Instances, user: User, tenant: Tenant) -> None:
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


def test_the_store_does_not_hold_the_cookies_that_open_its_sessions(instances: Instances, user: User) -> None:
    assert user.session_id
    assert user.session_id.encode() not in instances.store.raw()


class Exploit:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.file,)


def test_nothing_from_the_store_is_unpickled(instances: Instances, user: User, tmp_path: Path) -> None:
    for name in user.records:
        instances.store.put(name, pickle.dumps(Exploit(tmp_path / "unpickled"), protocol=0))
    user.get("/")
    user.get("/call_downstream_api", follow=False)

    assert not (tmp_path / "unpickled").exists()


def with_another_end(name: str, sealed: bytes) -> bytes:
    return sealed[:-10] + (b"A" if sealed[-10:-9] != b"A" else b"B") + sealed[-9:]


Damage = Callable[[str, bytes], bytes]
DAMAGE: dict[str, Damage] = {
    "one bit": lambda name, sealed: sealed[:100] + bytes([sealed[100] ^ 1]) + sealed[101:],
    "other end": with_another_end,
    "truncated": lambda name, sealed: sealed[:60],
    "empty": lambda name, sealed: b"",
    "no UTF-8": lambda name, sealed: sealed[:50] + b"\xff\xfe" + sealed[52:],
    "not ASCII": lambda name, sealed: "é".encode() + sealed[2:],
    "in clear": lambda name, sealed: b'["' + name.encode() + b'", {"started": 9999999999}]',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_session_record_means_signed_out(instances: Instances, user: User, damage: Damage) -> None:
    name, *_ = user.records
    instances.store.put(name, damage(name, instances.store.get(name)))
    home, details = user.get("/"), user.get("/token_details")

    assert (home.status_code, greeted(home)) == (200, None)
    assert details.status_code == 401
    assert user.get("/call_downstream_api", follow=False).status_code == 302
    assert user.sign_in().signed_in_as() == "Ada Lovelace"


@pytest.mark.parametrize("what", ["one bit", "empty", "no UTF-8"])  # the seal and the stores are the same
def test_damaged_tokens_mean_signing_in_again(instances: Instances, user: User, what: str) -> None:
    _, name, _ = user.records
    instances.store.put(name, DAMAGE[what](name, instances.store.get(name)))
    page = user.get("/call_downstream_api", follow=False)

    assert page.status_code == 302
    assert "oauth2/v2.0/authorize" in page.headers["Location"]
    assert user.get("/call_downstream_api").status_code == 200


@pytest.mark.parametrize("which", [0, 1], ids=["session", "tokens"])
def test_a_record_copied_from_another_session_is_not_believed(
    instances: Instances, user: User, tenant: Tenant, which: int
) -> None:
    mallory = tenant.add_account("Mallory")
    with User(
        instances,
        tenant,
        email=mallory["email"],
    ) as attacker:
        instances.store.put(attacker.records[which], instances.store.get(user.records[which]))

        page = attacker.get("/call_downstream_api", follow=False)

        assert page.status_code == 302
        assert "Ada" not in attacker.get("/").text


def test_reading_does_not_write(instances: Instances, user: User) -> None:
    user.get("/")  # moves the idle limit, once for a while
    with instances.store.no_writes():
        for path in ("/", "/token_details", "/call_downstream_api") * 5:
            assert user.get(path).status_code == 200


def test_visitors_write_nothing(instances: Instances, tenant: Tenant) -> None:
    with instances.store.no_writes(), Browser(instances.first.url, tenant) as visitor:
        for path in ("/", "/login", "/token_details", "/call_downstream_api", "/nowhere", "/healthz"):
            visitor.get(path, follow=False)
        visitor.callback_url()
        visitor.post("/logout", follow=False)
        home_with(instances.first, "A" * 43)


def test_a_thousand_other_sessions_sign_nobody_out(instances: Instances, user: User, tenant: Tenant) -> None:
    """File stores of Flask-Session keep 500."""
    instances.store.fill(1000, seconds=30)
    with Browser(instances.first.url, tenant) as other:
        other.sign_in()

    assert user.signed_in_as() == "Ada Lovelace"
    assert user.get("/call_downstream_api").status_code == 200


def test_expired_records_go_away_at_a_bounded_cost(
    serve_app: ServeApp, tenant: Tenant, tmp_path: Path
) -> None:
    store = SqliteFile(tmp_path / "sessions")
    app = serve_app(**store.settings)
    store.fill(500, seconds=-60)
    left = [500]
    with Browser(app.url, tenant) as browser:
        while left[-1] and len(left) < 50:
            browser.sign_in()
            left.append(store.run("SELECT count(*) FROM records WHERE expires < ?", time.time())[0][0])

    assert left[-1] == 0
    assert max(earlier - later for earlier, later in itertools.pairwise(left)) <= 250


def test_files_and_folder_are_the_owners_alone(serve_app: ServeApp, tenant: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sessions"
    app = serve_app(SESSION_DIR=str(folder))
    with Browser(app.url, tenant) as browser:
        browser.sign_in()

        files = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
        assert files
        assert set(files.values()) == {"0o600"}
        assert oct(folder.stat().st_mode & 0o777) == "0o700"
