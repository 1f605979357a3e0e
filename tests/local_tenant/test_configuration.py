"""The file that sets up a tenant, and what stays the same from start to start."""

import re
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import requests

from local_tenant import LocalTenant
from local_tenant.authorities import KINDS
from local_tenant.configuration import ConfigurationError, default_configuration, example, load
from local_tenant.home import HomeUnusable
from local_tenant.kept import Kept
from local_tenant.model.configuration import TenantConfiguration
from local_tenant.model.signing import KeyRing
from local_tenant.model.steering import Clock
from tests.local_tenant.visitor import Visitor, claims, error_code, parameters

DOMAIN = "contoso.onmicrosoft.com"
SIGN_IN, EDIT = "B2C_1_susi", "B2C_1A_Edit"
TENANT_ID, CLIENT_ID = "0b0b0b0b-1111-4111-8111-111111111111", "0b0b0b0b-2222-4222-8222-222222222222"
ORDERS_ID = "0b0b0b0b-3333-4333-8333-333333333333"
CONTOSO = f"""
[tenant]
name = "contoso"
id = "{TENANT_ID}"

[[apps]]
name = "shop"
client_id = "{CLIENT_ID}"
client_secret = "made-up secret"
redirect_uris = ["http://localhost:3000/back"]
permissions = ["https://{DOMAIN}/orders/Orders.Read"]

[[user_flows]]
name = "{SIGN_IN}"
kind = "sign_up_or_sign_in"
collects = ["displayName", "country", "extension_LoyaltyId"]
returns = ["name", "country", "extension_LoyaltyId", "isForgotPassword"]
resets_password = true
language = "fr"

[[user_flows]]
name = "{EDIT}"
kind = "edit_profile"
collects = ["postalCode"]

[[apis]]
name = "orders"
client_id = "{ORDERS_ID}"
scopes = ["Orders.Read", "Orders.Write"]

[[users]]
email = "grace@contoso.example"
password = "Own-pass-1"
display_name = "Grace"
city = "Oslo"
claims = {{ extension_LoyaltyId = "A-17", extension_Secret = "x" }}

[options]
access_token_lifetime = 600
"""


class ContosoVisitor(Visitor):
    def page_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.url}/{DOMAIN}/{user_flow}/{path}"

    def back_channel_url(self, path: str, user_flow: str = SIGN_IN) -> str:
        return f"{self.tenant.tls_url}/{DOMAIN}/{user_flow}/{path}"

    def arrive(self, **changes: Any) -> requests.Response:
        return self.authorize(SIGN_IN, **{"scope": "openid", **changes})

    def sign_in_as_grace(self, **changes: Any) -> requests.Response:
        page = self.arrive(**changes)
        return self.submit(page, email="grace@contoso.example", password="Own-pass-1", next="1")

    def token_claims(
        self, answer: requests.Response, user_flow: str = SIGN_IN, token: str = "id_token"
    ) -> dict[str, Any]:
        """The claims that the app gets for the code in this answer."""
        return claims(self.redeem(parameters(answer)["code"], user_flow).json()[token])

    def prove(self, page: requests.Response, email: str) -> requests.Response:
        """Prove an address by the code that the tenant sends."""
        page = self.submit(page, email=email, sendCode="1")
        return self.submit(page, code=self.mailed_code(email), verifyCode="1")


@pytest.fixture(scope="module")
def contoso(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTenant]:
    file = tmp_path_factory.mktemp("contoso") / "tenant.toml"
    file.write_text(CONTOSO)
    with LocalTenant(config=file) as tenant:
        yield tenant


@pytest.fixture
def visitor(contoso: LocalTenant) -> Iterator[ContosoVisitor]:
    visitor = ContosoVisitor(contoso)
    yield visitor
    visitor.close()


# --- What the file says


def test_clients_find_the_tenant_by_the_name_and_ids_of_the_file(contoso: LocalTenant) -> None:
    named = ("B2C_TENANT_NAME", "B2C_TENANT_ID", "CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI")
    assert [contoso.settings[name] for name in named] == [
        *("contoso", TENANT_ID, CLIENT_ID, "made-up secret", "http://localhost:3000/back")
    ]


def test_tokens_have_the_claims_that_the_user_flow_returns(visitor: ContosoVisitor) -> None:
    token = visitor.token_claims(visitor.sign_in_as_grace())
    assert {"name": "Grace", "extension_LoyaltyId": "A-17"}.items() <= token.items()
    assert not {"city", "emails", "oid", "extension_Secret"} & token.keys()


def test_a_sign_up_collects_the_attributes_of_the_user_flow(visitor: ContosoVisitor) -> None:
    page = visitor.prove(visitor.arrive(step="createAccount"), "ida@contoso.example")
    assert re.findall(r'<input id="(\w+)"', page.text)[3:] == [
        "displayName",
        "country",
        "extension_LoyaltyId",
    ]
    password = {"newPassword": "Own-pass-1", "reenterPassword": "Own-pass-1"}
    attributes = {"displayName": "Ida", "country": "Norway", "extension_LoyaltyId": "B-18"}
    token = visitor.token_claims(visitor.submit(page, **password, **attributes, create="1"))
    wanted = {"name": "Ida", "country": "Norway", "extension_LoyaltyId": "B-18"}
    assert {name: token[name] for name in wanted} == wanted


def test_profile_editing_changes_the_attributes_that_it_collects(visitor: ContosoVisitor) -> None:
    visitor.sign_in_as_grace()
    page = visitor.authorize(EDIT, scope="openid")
    assert 'id="displayName"' not in page.text
    token = visitor.token_claims(visitor.submit(page, postalCode="0150"), EDIT)
    assert (token["postalCode"], token["name"]) == ("0150", "Grace")


def test_the_sign_in_page_resets_a_password_without_an_error_for_the_app(visitor: ContosoVisitor) -> None:
    email = "forgetful@contoso.example"
    visitor.control("POST", "accounts", {"email": email, "password": "Own-pass-1"})
    page = visitor.prove(visitor.click(visitor.arrive(), "forgotPassword"), email)
    answer = visitor.submit(page, newPassword="New-pass-1", reenterPassword="New-pass-1", **{"continue": "1"})
    assert visitor.token_claims(answer)["isForgotPassword"] is True


@pytest.mark.parametrize(("ui_locales", "lang"), [(None, "fr"), ("en", "en")])
def test_the_sign_in_page_is_in_the_language_of_the_user_flow_unless_the_app_asks_for_another(
    visitor: ContosoVisitor, ui_locales: str | None, lang: str
) -> None:
    assert f'<html lang="{lang}">' in visitor.arrive(ui_locales=ui_locales).text


def test_a_token_for_an_api_has_the_audience_and_the_lifetime_of_the_file(visitor: ContosoVisitor) -> None:
    scope = f"openid https://{DOMAIN}/orders/Orders.Read"
    token = visitor.token_claims(visitor.sign_in_as_grace(scope=scope), token="access_token")
    assert (token["aud"], token["scp"], token["exp"] - token["iat"]) == (ORDERS_ID, "Orders.Read", 600)


def test_a_scope_that_the_app_has_no_permission_for_is_refused(visitor: ContosoVisitor) -> None:
    answer = visitor.arrive(scope=f"openid https://{DOMAIN}/orders/Orders.Write")
    assert error_code(answer) == ("invalid_request", "AADB2C90205")


# --- What is wrong with a file


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('kind = "b2c', 1, "not valid TOML"),
        ('kind = "entra"', 1, "Did you mean `entra-id`?"),
        ('\n[[app]]\nname = "shop"', 2, "Did you mean `apps`?"),
        ('[apps]\nname = "shop"', 1, "Write [[apps]]"),
        ('[tenant]\nname = "Contoso"', 2, "Write lower case"),
        ('[tenant]\ndomain = "contoso.example"', 2, "Write `name`"),
        ('[tenant]\nid = "contoso"', 2, "Write a GUID"),
        ('[[apps]]\ntype = "web"', 1, "`name` is missing"),
        ('[[apps]]\nname = "shop"\nredirectUris = []', 3, "Did you mean `redirect_uris`?"),
        ('[[apps]]\nname = "shop"\nid_tokens = "yes"', 3, "Write true or false"),
        ('[[apps]]\nname = "shop"\nredirect_uris = "http://localhost"', 3, "Write a list of texts"),
        ('[[apps]]\nname = "shop"\nredirect_uris = ["https://a.example/",\n ""]', 4, "has an empty text"),
        ('[[apps]]\nname = "shop"\ntype = "spa"\nclient_secret = "x"', 4, "has no secret"),
        (
            '[[apps]]\nname = "shop"\nredirect_uris = [\n "http://localhost:1/a",\n "http://shop.example"]',
            5,
            "Write https",
        ),
        ('[[apps]]\nname = "shop"\nredirect_uris = ["/back"]', 3, "Write the whole address"),
        ('[[apps]]\nname = "shop"\nredirect_uris = ["http://localhost:99999"]', 3, "host or port"),
        ('[[apps]]\nname = "shop"\nredirect_uris = ["https://a.example/?b=c"]', 3, "B2C allows no query"),
        ('[[apps]]\nname = "shop"\nredirect_uris = ["msauth://back"]', 3, 'type = "native"'),
        ('[[apps]]\nname = "a"\n[[apps]]\nname = "A"', 4, "two apps with the name"),
        (
            '[[apps]]\nname = "a"\npermissions = ["https://localtenant.onmicrosoft.com/tasks-api/task.read"]',
            3,
            "Did you mean `https://localtenant.onmicrosoft.com/tasks-api/tasks.read`?",
        ),
        ('[[user_flows]]\nname = "susi"\nkind = "sign_in"', 2, "begin with B2C_1_"),
        ('[[user_flows]]\nname = "B2C_1_a"\nkind = "signin"', 3, "Did you mean `sign_in`?"),
        ('[[user_flows]]\nname = "B2C_1_a"\nkind = "sign_in"\nlanguage = "de"', 4, '"en", "fr"'),
        (
            '[[user_flows]]\nname = "B2C_1_a"\nkind = "sign_in"\nreturns = ["givenName"]',
            4,
            "is called `given_name`",
        ),
        (
            '[[user_flows]]\nname = "B2C_1_a"\nkind = "sign_up"\ncollects = ["surnam"]',
            4,
            "Did you mean `surname`?",
        ),
        (
            '[[user_flows]]\nname = "B2C_1_a"\nkind = "edit_profile"\nresets_password = true',
            4,
            "with a sign-in page",
        ),
        ('kind = "entra-id"\n[[user_flows]]\nname = "a"\nkind = "sign_in"', 2, "Entra ID has no user flows"),
        (
            'kind = "external-id"\n[[user_flows]]\nname = "a"\nkind = "sign_in"',
            4,
            'kind = "sign_up_or_sign_in"',
        ),
        ('[[users]]\nemail = "ada@example.com"', 1, "`password` is missing"),
        ('[[users]]\nemail = "ada"\npassword = "x"', 2, "Write an e-mail address"),
        ('[[users]]\nemail = "a@b.c"\npassword = "x"\nroles = ["a"]', 4, "Write claims"),
        ('kind = "entra-id"\n[[users]]\nemail = "a@b.c"\npassword = "x"\nclaims = {}', 5, "is for B2C"),
        ('[[apis]]\nname = "a"\nscopes = ["https://a/b"]', 3, "A scope is a word"),
        ('[[apis]]\nname = "a"\nscopes = ["b"]\nadmin_only = ["c"]', 4, "The choices are"),
        (
            'users = [\n  { email = "a@b.c", pasword = "x", password = "y" },\n]',
            2,
            "Did you mean `password`?",
        ),
        ("""[options]\nissuer_form = '''\n[[apps]]\n'''""", 2, "The choices are"),
        ('[[users]]\nemail = "a@b.c"\npassword = """\n[[apps]]\n"""\n[[apis]]\nname = "a"', 6, "`scopes`"),
        ('[[apis]]\nname = "a"\nscopes = [\n  "b",\n  "c d",\n]', 5, "A scope is a word"),
        ("kind = b2c", 1, "not valid TOML"),
        pytest.param("[options]\nkeys = " + "1" * 5000, 0, "too long", id="long number"),
        pytest.param("keys = " + "[" * 5000 + "]" * 5000, 0, "too deeply", id="deep nesting"),
        ('[[users]]\nemail = "a@b.c"\npassword = ""', 3, "`password` cannot be empty"),
        ('[[users]]\nemail = "a@b.c"\npassword = "x"\nclaims = { aud = "x" }', 4, "of their own"),
        ('[[apis]]\nname = "a"\nscopes = []', 3, "`scopes` cannot be empty"),
        ('[[apis]]\nname = "a"\nscopes = [\n  "b",\n  "b",\n]', 5, "twice"),
        ("options = []", 1, "Write [options] on a line of its own."),
        ("[options]\nkeys = 3", 2, "The choices are: 1, 2"),
        ("[options]\ncode_lifetime = 0", 2, "Write a number from 1 on"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_to_write_instead(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    [fault] = refused.value.faults
    assert fault.line == line
    assert words in fault.text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('[[apis]]\nname = "a"\nscopes = [\n  "",\n  5,\n  "c d",\n]', [4, 5, 6]),
        ('[[users]]\nemail = "a@b.c"\npassword = "x"\n' * 2, [5]),
        ('[[apps]]\nname = "a"\n' * 2, [4]),
    ],
    ids=["each item of a list", "one fault for a user twice", "one fault for an app twice"],
)
def test_each_fault_is_told_once(tmp_path: Path, text: str, lines: list[int]) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    assert [fault.line for fault in refused.value.faults] == lines


def test_all_faults_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    file = tmp_path / "tenant.toml"
    file.write_text('[tenant]\nnam = "contoso"\n\n[[users]]\nemail = "ada"\n')
    with pytest.raises(ConfigurationError) as refused:
        load(file)
    assert [fault.line for fault in refused.value.faults] == [2, 4, 5]
    assert str(refused.value).startswith(f"{file}:2: There is no `nam` here.")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "Write the whole address"),
        ("http://[", "host or port"),
        ("https://a.example/#f", "Remove the fragment"),
        ("https://*.a.example/", "Write each address out"),
        ("javascript:alert(1)", "as a script"),
    ],
)
def test_what_is_no_redirect_uri_is_refused_in_words(uri: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LocalTenant(redirect_uris=[uri])


# --- The example


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_sets_a_tenant_up_as_it_is_without_a_file(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "tenant.toml"
    wanted = default_configuration(kind, ["http://localhost:5000/getAToken"])
    for app in wanted.apps:
        app.client_secret = "" if app.is_public else "made-up secret"
    file.write_text(example(wanted, Kept(None, wanted.tenant_id)), "utf-8")
    assert members(load(file, ["http://localhost:5000/getAToken"])) == members(wanted)


def test_what_the_example_has_as_comments_is_valid(tmp_path: Path) -> None:
    file, wanted = tmp_path / "tenant.toml", default_configuration("b2c", [])
    text = example(wanted, Kept(None, wanted.tenant_id)).replace("permissions = [...]", "permissions = []")
    text = re.sub(r"^# (?=[a-z_]+ = |\[options\])", "", text, flags=re.MULTILINE)
    file.write_text(text)
    assert load(file).options["access_token_lifetime"] == 3600


def members(configuration: TenantConfiguration) -> dict[str, Any]:
    return {
        **vars(configuration),
        "apps": [asdict(app) for app in configuration.apps],
        "user_flows": [asdict(user_flow) for user_flow in configuration.user_flows],
    }


# --- What stays the same


def test_ids_secrets_and_keys_stay_the_same_from_start_to_start(tmp_path: Path) -> None:
    def start() -> tuple[object, ...]:
        with LocalTenant(home=tmp_path) as tenant:
            visitor = Visitor(tenant)
            names = ("CLIENT_ID", "CLIENT_SECRET", "SCOPE", "SECRET_KEY", "B2C_TENANT_ID")
            found = (*(tenant.settings[name] for name in names), tenant.account, visitor.keys().json())
            visitor.close()
            return found

    assert start() == start()


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    LocalTenant(home=tmp_path)
    files = [path for path in (tmp_path / "private").rglob("*") if path.is_file()]
    assert {path.name.partition("-")[0] for path in files} >= {"client", "app", "signing"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_without_a_state_folder_each_tenant_is_a_new_one() -> None:
    assert LocalTenant().tenant_id != LocalTenant().tenant_id


def test_a_damaged_signing_key_ends_the_start_in_words(tmp_path: Path) -> None:
    kept = Kept(tmp_path, TENANT_ID)
    kept.signing_key("first", 0)
    [file] = tmp_path.rglob("signing-key-first.json")
    file.write_text("{")
    with pytest.raises(HomeUnusable, match=r"signing-key-first.json in .* is damaged. Delete it"):
        kept.signing_key("first", 0)


def test_a_tenant_never_gets_a_key_back_that_it_has_had() -> None:
    KeyRing(Clock()).close()  # leaves its key to the next tenant
    ring, moduli = KeyRing(Clock()), list[object]()
    for _ in range(3):
        moduli.append(ring.current.jwk()["n"])
        ring.rotate(keep_old=False)
    ring.close()
    assert len(set(moduli)) == 3
