"""Every setting of the app, read once from the environment, cast and checked.

A `.env` file beside this module is read too. Variables that are already in the environment win over it.
"""

import difflib
import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dotenv import load_dotenv

HERE = Path(__file__).resolve().parent
# REDIRECT_URI may be none of these. Add the paths of your own routes.
ROUTES = {"/", "/login", "/logout", "/edit_profile", "/reset_password", "/call_downstream_api"}
ROUTES |= {"/token_details", "/add_task", "/sessions", "/signup", "/frontchannel_logout", "/healthz"}

B2C, ENTRA_ID, ENTRA_ID_MANY_TENANTS = "b2c", "entra-id", "entra-id-many-tenants"
EXTERNAL_ID, OPENID_CONNECT = "external-id", "openid-connect"
# Microsoft Learn, "National clouds", and the older names that still answer.
ENTRA_ID_HOSTS = {
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
}
EXTERNAL_ID_DOMAIN, B2C_DOMAIN = ".ciamlogin.com", ".b2clogin.com"
# signin.oidc has the next three too. Neither module may import the other.
MANY_TENANTS = {"organizations", "common", "consumers"}
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # of all personal Microsoft accounts
GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
RESERVED_SCOPES = {"openid", "profile", "offline_access"}

AUTHORITIES = ("B2C_TENANT_NAME", "AUTHORITY", "OIDC_AUTHORITY")
CREDENTIALS = (
    "CLIENT_SECRET",
    "CLIENT_CERTIFICATE_PATH",
    "FEDERATED_TOKEN_FILE",
    "MANAGED_IDENTITY_CLIENT_ID",
)
B2C_ONLY = (
    "SIGNUPSIGNIN_USER_FLOW",
    "EDITPROFILE_USER_FLOW",
    "RESETPASSWORD_USER_FLOW",
    "AUTHORITY_TEMPLATE",
    "B2C_TENANT_ID",
)
# Settings that have an effect only with another one.
NEEDS = dict.fromkeys(B2C_ONLY, "B2C_TENANT_NAME") | {
    "AUTHORITY_KIND": "AUTHORITY",
    "PROFILE_SCOPE": "AUTHORITY",
    "GRAPH_URL": "PROFILE_SCOPE",
    "WRITE_SCOPE": "ENDPOINT",
    "CLIENT_CERTIFICATE_PASSWORD": "CLIENT_CERTIFICATE_PATH",
}

ALIKE = 0.84  # how much a name has to be like a setting's to be taken for a misspelt one; 1 is the same
PLACEHOLDER_KEY = re.compile(r"(?i)change-?me|secret|password|example|sample|replace|placeholder")


class ConfigError(Exception):
    """One message that names every missing or malformed setting, and what each should look like."""


def _matching(pattern: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return cast


def _url(text: str, *schemes: str) -> SplitResult:
    """The parts of a URL with one of these schemes, a host and a possible port. Raises ValueError."""
    url = urlsplit(text)
    if (
        not re.fullmatch(r"[!-\[\]-~]+", text)
        or url.scheme not in schemes
        or not url.hostname
        or url.port == 0
    ):
        raise ValueError
    return url


def _is_loopback(url: SplitResult) -> bool:
    return url.hostname in ("localhost", "127.0.0.1", "::1")


def _redirect_uri(text: str) -> str:
    """Microsoft Learn, "Redirect URI (reply URL) restrictions": https, or http for this machine; no query."""
    uri = _url(text, "https", "http")
    if uri.scheme == "http" and uri.hostname not in ("localhost", "127.0.0.1"):
        raise ValueError
    if "@" in uri.netloc or uri.query or uri.fragment:
        raise ValueError
    if not uri.path.startswith("/") or uri.path in ROUTES or uri.path.startswith("/static/"):
        raise ValueError
    return text


def _authority_template(text: str) -> str:
    placeholders = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    url = _authority(text.format(tenant="t", user_flow="f"))
    if "user_flow" not in placeholders or not urlsplit(url).path.strip("/"):
        raise ValueError
    return text


def _authority(text: str) -> str:
    """An https URL without user information, query or fragment: the addresses of the metadata build on it."""
    url = _url(text, "https")
    if "@" in text or url.query or url.fragment:
        raise ValueError
    return text


def _endpoint(text: str) -> str:
    """Access tokens go there, so it is https, or http on this machine."""
    url = _url(text, "http", "https")
    if url.scheme == "http" and not _is_loopback(url):
        raise ValueError
    return text


def _insecure_sign_in_origin(text: str) -> str:
    url = _url(text, "http")
    if not _is_loopback(url) or text != f"http://{url.netloc}" or "@" in url.netloc:
        raise ValueError
    return text


def _redis_url(text: str) -> str:
    if not re.match(r"(redis|rediss|unix)(\+cluster|\+sentinel)?://", text):
        raise ValueError
    return text


def _scopes(text: str) -> tuple[str, ...]:
    """RFC 6749 section 3.3. MSAL adds the reserved scopes itself."""
    scopes = tuple(text.split())
    if not all(re.fullmatch(r"[!#-\[\]-~]+", scope) for scope in scopes) or RESERVED_SCOPES & set(scopes):
        raise ValueError
    return scopes


def _secret_key(text: str) -> str:
    """A key with no blanks in it, because SECRET_KEY_FALLBACKS are separated by blanks."""
    if not re.fullmatch(r"\S{32,}", text) or len(set(text)) < 8 or PLACEHOLDER_KEY.search(text):
        raise ValueError
    if re.fullmatch(r"(.+?)\1+", text):  # one piece, repeated
        raise ValueError
    return text


def _allowed_tenants(text: str) -> tuple[str, ...]:
    tenants = tuple(text.replace(",", " ").lower().split())
    listed = set(tenants) - {"*"}
    if not tenants or not all(re.fullmatch(GUID, tenant) for tenant in listed):
        raise ValueError
    if "*" in tenants and not listed <= {PERSONAL_TENANT}:
        raise ValueError
    return tenants


def _minutes(text: str) -> int:
    minutes = int(text)
    if minutes < 1:
        raise ValueError
    return minutes


def _yes_or_no(text: str) -> bool:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]


def _setting(
    cast: Callable[[str], Any], looks_like: str, default: Any = MISSING, *, show: bool = True
) -> Any:
    options = {} if default is MISSING else {"default": default}
    return field(**options, repr=show, metadata={"cast": cast, "looks_like": looks_like})


_user_flow = _matching(r"(?i)b2c_1a?_[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. The environment variable of each is its name in capitals."""

    # The authority: exactly one of B2C_TENANT_NAME, AUTHORITY and OIDC_AUTHORITY.
    b2c_tenant_name: str | None = _setting(
        _matching(r"(?i)[a-z0-9][a-z0-9-]*"), "the first part of the B2C tenant's name: contoso", None
    )
    signupsignin_user_flow: str | None = _setting(
        _user_flow, "a sign-up and sign-in user flow: B2C_1_signupsignin1", None
    )
    editprofile_user_flow: str | None = _setting(
        _user_flow, "a profile editing user flow: B2C_1_profileediting1", None
    )
    resetpassword_user_flow: str | None = _setting(
        _user_flow, "a password reset user flow: B2C_1_passwordreset1", None
    )
    authority_template: str = _setting(
        _authority_template,
        "an https URL with {user_flow} in it: https://login.contoso.com/{tenant}.onmicrosoft.com/{user_flow}",
        "https://{tenant}.b2clogin.com/{tenant}.onmicrosoft.com/{user_flow}",
    )
    b2c_tenant_id: str | None = _setting(
        _matching(GUID), "the tenant's ID: 22222222-2222-2222-2222-222222222222", None
    )
    authority: str | None = _setting(
        _authority,
        "an https URL: https://login.microsoftonline.com/TENANT_ID (Entra ID), "
        "https://contoso.ciamlogin.com (External ID)",
        None,
    )
    authority_kind: str | None = _setting(
        _matching(f"{ENTRA_ID}|{EXTERNAL_ID}"), f"{ENTRA_ID} or {EXTERNAL_ID}", None
    )
    allowed_tenants: tuple[str, ...] = _setting(
        _allowed_tenants,
        "tenant IDs, separated by spaces; * for any organization; or, for any organization and personal "
        f"accounts, * {PERSONAL_TENANT}",
        (),
    )
    oidc_authority: str | None = _setting(
        _authority, "the provider's issuer, an https URL: https://login.example.com/", None
    )

    # The app registration, with exactly one credential.
    client_id: str = _setting(
        _matching(r"[!-~]+"), "the Application (client) ID: 11111111-1111-1111-1111-111111111111"
    )
    client_secret: str | None = _setting(
        _matching(r"[!-~]+"), "the Value (not the Secret ID) of a client secret", None, show=False
    )
    client_certificate_path: Path | None = _setting(
        Path, "a PFX file, or a PEM file with private key and certificate", None
    )
    client_certificate_password: str | None = _setting(
        str, "the password of CLIENT_CERTIFICATE_PATH", None, show=False
    )
    federated_token_file: Path | None = _setting(
        Path, "the file that the platform writes the workload's token to", None
    )
    managed_identity_client_id: str | None = _setting(
        _matching(GUID), "the client ID of a user-assigned managed identity", None
    )
    redirect_uri: str = _setting(
        _redirect_uri,
        "the registered redirect URI, with https (or http for localhost), a path of its own and no query",
        "http://localhost:5000/getAToken",
    )

    # The web API.
    endpoint: str | None = _setting(
        _endpoint,
        "the web API's https URL (http for this machine only): https://localhost:6000/hello",
        None,
    )
    scope: tuple[str, ...] = _setting(
        _scopes,
        "the scopes of one web API, separated by spaces: https://contoso.onmicrosoft.com/tasks-api/tasks.read",
        (),
    )
    write_scope: tuple[str, ...] = _setting(
        _scopes,
        "the scopes that adding a task needs: https://contoso.onmicrosoft.com/tasks-api/tasks.write",
        (),
    )

    # What users may do.
    roles_claim: str = _setting(
        _matching(r"[!-~]+"), "the name of a claim: roles, or extension_Roles in Azure AD B2C", "roles"
    )

    # Profile editing through Microsoft Graph.
    profile_scope: tuple[str, ...] = _setting(
        _scopes, "the Microsoft Graph permission to edit one's own profile: User.ReadWrite", ()
    )
    graph_url: str = _setting(
        _endpoint,
        "the https URL of Microsoft Graph, with its version: https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com/v1.0",
    )

    # Sessions.
    secret_key: str = _setting(
        _secret_key,
        'at least 32 random characters: python -c "import secrets; print(secrets.token_urlsafe(48))"',
        show=False,
    )
    secret_key_fallbacks: tuple[str, ...] = _setting(
        lambda text: tuple(_secret_key(key) for key in text.split()),
        "former SECRET_KEYs, separated by spaces, at least 32 random characters each",
        (),
        show=False,
    )
    session_dir: Path = _setting(Path, "a folder that only the app uses", HERE / ".sessions")
    redis_url: str | None = _setting(
        _redis_url,
        "a Redis URL: redis://localhost:6379/0, rediss+cluster://HOST:PORT, or "
        "redis+sentinel://HOST:PORT,HOST:PORT/MASTER_NAME/0",
        None,
        show=False,
    )
    session_idle_minutes: int = _setting(_minutes, "a whole number of minutes", 24 * 60)
    session_absolute_minutes: int = _setting(_minutes, "a whole number of minutes", 14 * 24 * 60)

    # Pages and cookies.
    show_operator_help: bool | None = _setting(_yes_or_no, "yes or no", None)
    cookie_prefix: str | None = _setting(
        _matching(r"[A-Za-z0-9_-]{1,32}"), "up to 32 letters, digits, hyphens and underscores: portal", None
    )

    # Development.
    flask_run_port: int | None = _setting(int, "the port that `flask run` listens on: 5000", None)
    insecure_sign_in_origin: str | None = _setting(
        _insecure_sign_in_origin,
        "an http origin on this machine where sign-in pages may be: http://127.0.0.1:8400",
        None,
    )

    @property
    def kind(self) -> str:
        """Which kind of authority the settings name."""
        if self.oidc_authority:
            return OPENID_CONNECT
        if not self.authority:
            return B2C
        return kind_of(self.authority, self.authority_kind)

    @cached_property
    def origin(self) -> str:
        """The app's own scheme, host and port, as the browser knows them."""
        uri = urlsplit(self.redirect_uri.lower())
        default_port = {"https": ":443", "http": ":80"}[uri.scheme]
        return f"{uri.scheme}://{uri.netloc.removesuffix(default_port)}"

    @cached_property
    def host(self) -> str:
        """The one `Host` that the app answers to."""
        return urlsplit(self.origin).netloc

    @property
    def https(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def on_this_machine(self) -> bool:
        """Whether browsers reach the app at a loopback address, as during development."""
        return _is_loopback(urlsplit(self.origin))

    @property
    def port(self) -> int:
        """The port that browsers reach the app on."""
        return urlsplit(self.origin).port or (443 if self.https else 80)

    @property
    def shows_operator_help(self) -> bool:
        """Whether error pages also speak to the people who run the site. By default during development."""
        return self.on_this_machine if self.show_operator_help is None else self.show_operator_help

    @property
    def cookie_name_prefix(self) -> str:
        """What the names of all cookies begin with.

        With https, `__Host-` pins them to this host. Cookies do not know ports, so the port in the name keeps
        apps on a developer's machine apart.
        """
        usual = f"signin_{self.port}" if self.on_this_machine else "signin"
        return f"{'__Host-' if self.https else ''}{self.cookie_prefix or usual}_"

    @property
    def graph_me(self) -> str:
        """The signed-in user in Microsoft Graph."""
        return f"{self.graph_url.rstrip('/')}/me"

    @property
    def callback_path(self) -> str:
        return urlsplit(self.redirect_uri).path


def kind_of(authority: str, authority_kind: str | None) -> str:
    """The kind of AUTHORITY: what AUTHORITY_KIND says, or what the host name tells."""
    kind = authority_kind or (ENTRA_ID if urlsplit(authority).hostname in ENTRA_ID_HOSTS else EXTERNAL_ID)
    if kind == ENTRA_ID and tenant_in(authority) in MANY_TENANTS:
        return ENTRA_ID_MANY_TENANTS
    return kind


def tenant_in(authority: str) -> str:
    """What AUTHORITY has after its host, in lower case. It may end with the /v2.0 of its endpoints."""
    return urlsplit(re.sub(r"(/v2\.0)?/*$", "", authority)).path.strip("/").lower()


def read(environ: Mapping[str, str]) -> Settings:
    """Cast and check the settings in `environ`. An empty value counts as not set.

    Raises ConfigError, which names every setting that is missing or malformed.
    """
    values, faults = {}, []
    for setting in fields(Settings):
        name = setting.name.upper()
        text = environ.get(name, "").strip()
        if not text:
            if setting.default is MISSING:
                faults.append(f"{name} is missing. It should be {setting.metadata['looks_like']}")
            continue
        try:
            values[setting.name] = setting.metadata["cast"](text)
        except (ValueError, KeyError, IndexError):  # the last two: a stray brace in AUTHORITY_TEMPLATE
            faults.append(f"{name} is malformed. It should be {setting.metadata['looks_like']}")
    # .env.sample has some defaults in it. They contradict nothing.
    defaults = {name for name, value in values.items() if value == getattr(Settings, name, MISSING)}
    given = {name for name in environ if environ[name].strip() and name.lower() not in defaults}
    faults += _authority_faults(given, values)
    faults += _credential_faults(given)
    faults += _web_api_faults(given, values)
    faults += [
        f"{name} has an effect only with {other}"
        for name, other in NEEDS.items()
        # Without any authority, another message says so.
        if name in given and other not in given and (other not in AUTHORITIES or given & {*AUTHORITIES})
    ]
    if faults:
        raise ConfigError(
            "The app cannot start with these settings:\n\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\n\nSet them in the environment or in a .env file (.env.sample lists all settings)."
            + "\nTo register the app in your own tenant and write .env: flask register"
            + "\nTo try the app without a cloud account: python -m local_tenant flask run --port 5000\n"
        )
    return Settings(**values)


def _authority_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    chosen = [name for name in AUTHORITIES if name in given]
    if not chosen:
        return [
            "The authority is missing. Set B2C_TENANT_NAME (Azure AD B2C), AUTHORITY (Entra ID, External ID) "
            "or OIDC_AUTHORITY (any OpenID Connect provider)"
        ]
    if len(chosen) > 1:
        return [f"{' and '.join(chosen)} each name an authority. Set one of them"]
    faults = []
    if chosen == ["B2C_TENANT_NAME"] and "SIGNUPSIGNIN_USER_FLOW" not in given:
        faults.append("SIGNUPSIGNIN_USER_FLOW is missing. It should be a user flow: B2C_1_signupsignin1")
    user_flows = [str(value).lower() for name, value in values.items() if name.endswith("_user_flow")]
    if len(set(user_flows)) < len(user_flows):
        faults.append("Two user-flow settings have the same value. Each needs a different flow")
    host = str(urlsplit(values.get("oidc_authority", "")).hostname)
    if host in ENTRA_ID_HOSTS or host.endswith((EXTERNAL_ID_DOMAIN, B2C_DOMAIN)):
        other = "B2C_TENANT_NAME" if host.endswith(B2C_DOMAIN) else "AUTHORITY"
        faults.append(f"OIDC_AUTHORITY is on a sign-in host of Microsoft. Set {other} instead")
    if "authority" in values:
        faults += _authority_url_faults(values["authority"], values.get("authority_kind"))
    return faults + _tenant_faults(given, values)


def _authority_url_faults(authority: str, authority_kind: str | None) -> list[str]:
    """What the providers of Entra ID and External ID would not accept as their authority."""
    host, tenant = str(urlsplit(authority).hostname), tenant_in(authority)
    on_external_id = host.endswith(EXTERNAL_ID_DOMAIN)
    kind = kind_of(authority, authority_kind)
    if host.endswith(B2C_DOMAIN):
        return [
            "AUTHORITY is on a host of Azure AD B2C. Set B2C_TENANT_NAME and SIGNUPSIGNIN_USER_FLOW instead "
            "and, if you have these user flows, EDITPROFILE_USER_FLOW and RESETPASSWORD_USER_FLOW"
        ]
    if kind == EXTERNAL_ID and host in ENTRA_ID_HOSTS:
        return ["AUTHORITY_KIND is external-id, and AUTHORITY is on a host of Entra ID"]
    if kind != EXTERNAL_ID and on_external_id:
        return ["AUTHORITY_KIND is entra-id, and AUTHORITY is on a host of External ID"]
    if kind == EXTERNAL_ID and not on_external_id:
        if re.fullmatch(GUID, tenant):
            return []
        return ["AUTHORITY on your own domain needs the tenant ID: https://login.contoso.com/TENANT_ID"]
    if not tenant and kind == ENTRA_ID:
        return ["AUTHORITY names no tenant. Add the tenant's ID or domain as its path"]
    if not re.fullmatch(r"[a-z0-9.-]*", tenant):
        return [f"AUTHORITY has more than a tenant after its host. It should be https://{host}/TENANT_ID"]
    return []


def _tenant_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    authority, allowed = values.get("authority"), set(values.get("allowed_tenants", ()))
    if "AUTHORITY" in given and not authority:  # malformed
        return []
    kind = kind_of(authority, values.get("authority_kind")) if authority else ""
    if kind != ENTRA_ID_MANY_TENANTS:
        if "ALLOWED_TENANTS" not in given:
            return []
        return [
            "ALLOWED_TENANTS has an effect only with "
            "AUTHORITY=https://login.microsoftonline.com/organizations, /common or /consumers"
        ]
    if "ALLOWED_TENANTS" not in given:
        return [
            "ALLOWED_TENANTS is missing: AUTHORITY lets users of any tenant try to sign in. "
            "List the tenant IDs to accept, or set * to accept all organizations"
        ]
    tenant = tenant_in(str(authority))
    if allowed and tenant == "consumers" and allowed != {PERSONAL_TENANT}:
        return [f"AUTHORITY is for personal accounts, so ALLOWED_TENANTS should be {PERSONAL_TENANT}"]
    if tenant == "organizations" and allowed == {PERSONAL_TENANT}:
        return [
            "AUTHORITY is for organizations, and ALLOWED_TENANTS lists only the tenant of personal accounts. "
            "Set AUTHORITY to https://login.microsoftonline.com/consumers"
        ]
    return []


def _credential_faults(given: set[str]) -> list[str]:
    chosen = [name for name in CREDENTIALS if name in given]
    if not chosen:
        return [
            "CLIENT_SECRET is missing. It should be the Value (not the Secret ID) of a client secret; or set "
            "CLIENT_CERTIFICATE_PATH, FEDERATED_TOKEN_FILE or MANAGED_IDENTITY_CLIENT_ID instead"
        ]
    if len(chosen) > 1:
        both = "both" if len(chosen) == 2 else "all"
        return [f"{' and '.join(chosen)} are {both} set. Set exactly one credential"]
    if "B2C_TENANT_NAME" in given and chosen != ["CLIENT_SECRET"]:
        return [f"{chosen[0]} is not for Azure AD B2C. Set CLIENT_SECRET instead"]
    return []


def _web_api_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    faults = []
    if ("ENDPOINT" in given) != ("SCOPE" in given):
        faults.append("ENDPOINT and SCOPE belong together. Set both, or neither")
    names = ["SCOPE", "WRITE_SCOPE"] + ["PROFILE_SCOPE"] * ("AUTHORITY" in given)
    for name in names:
        faults += _scope_faults(name, values.get(name.lower(), ()), given)
    return faults


def _scope_faults(name: str, scopes: tuple[str, ...], given: set[str]) -> list[str]:
    full_uri = re.compile(rf"[a-z][a-z0-9+.-]*://[^/]+/.*[^/]|{GUID}")
    if "B2C_TENANT_NAME" in given and not all(full_uri.fullmatch(scope) for scope in scopes):
        return [
            f"{name} is malformed. It should be full scope URIs: "
            "https://contoso.onmicrosoft.com/tasks-api/tasks.read"
        ]
    if "OIDC_AUTHORITY" not in given and len({scope.rpartition("/")[0] for scope in scopes}) > 1:
        # Microsoft issues an access token for one API, named by the part before the last slash.
        return [f"{name} names scopes of more than one API. An access token is for one API"]
    return []


def misspelt(environ: Mapping[str, str]) -> dict[str, str]:
    """The names in `environ` that look like a setting's and are not, each with the setting's name."""
    known = [setting.name.upper() for setting in fields(Settings)]
    user_flows = [name for name in known if name.endswith("_USER_FLOW")]
    found = {}
    for name in environ:
        if name in known:
            continue
        alike = [setting for setting in known if "_" in name and setting.startswith(f"{name}_")]
        alike = alike or difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)
        if not alike and name.endswith("_USER_FLOW"):
            alike = difflib.get_close_matches(name, user_flows, n=1, cutoff=0)
        if alike:
            found[name] = alike[0]
    return found


def misspelt_here() -> dict[str, str]:
    """`misspelt` for the environment and `.env`."""
    load_dotenv(HERE / ".env")
    return misspelt(os.environ)


def load() -> Settings:
    """The settings from the environment and, for what it does not set, from `.env` beside this module.

    Raises ConfigError.
    """
    try:
        load_dotenv(HERE / ".env")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{HERE / '.env'} is not UTF-8 text. Save it as UTF-8.") from error
    return read(os.environ)
