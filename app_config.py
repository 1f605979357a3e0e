"""Every setting of the app, read once from the environment, cast and checked.

A `.env` file beside this module is read too. Variables that are already in the environment win over it.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import load_dotenv

from signin.authorities import (
    B2C,
    ENTRA_ID,
    EXTERNAL_ID,
    GUID,
    OPENID_CONNECT,
    PERSONAL_TENANT,
    kind_of,
)
from signin.configuration import casts
from signin.configuration.contradictions import contradictions

HERE = Path(__file__).resolve().parent
# REDIRECT_URI may be none of these. Add the paths of your own routes.
ROUTES = {"/", "/login", "/logout", "/edit_profile", "/reset_password", "/call_downstream_api"}
ROUTES |= {"/token_details", "/add_task", "/sessions", "/signup", "/frontchannel_logout", "/healthz"}


ALIKE = 0.84  # how much a name has to be like a setting's to be taken for a misspelt one; 1 is the same


class ConfigError(Exception):
    """One message that names every missing or malformed setting, and what each should look like."""


def _setting(
    cast: Callable[[str], Any], looks_like: str, default: Any = MISSING, *, show: bool = True
) -> Any:
    options = {} if default is MISSING else {"default": default}
    return field(**options, repr=show, metadata={"cast": cast, "looks_like": looks_like})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. The environment variable of each is its name in capitals."""

    # The authority: exactly one of B2C_TENANT_NAME, AUTHORITY and OIDC_AUTHORITY.
    b2c_tenant_name: str | None = _setting(
        casts.matching(r"(?i)[a-z0-9][a-z0-9-]*"), "the first part of the B2C tenant's name: contoso", None
    )
    signupsignin_user_flow: str | None = _setting(
        casts.user_flow, "a sign-up and sign-in user flow: B2C_1_signupsignin1", None
    )
    editprofile_user_flow: str | None = _setting(
        casts.user_flow, "a profile editing user flow: B2C_1_profileediting1", None
    )
    resetpassword_user_flow: str | None = _setting(
        casts.user_flow, "a password reset user flow: B2C_1_passwordreset1", None
    )
    authority_template: str = _setting(
        casts.authority_template,
        "an https URL with {user_flow} in it: https://login.contoso.com/{tenant}.onmicrosoft.com/{user_flow}",
        "https://{tenant}.b2clogin.com/{tenant}.onmicrosoft.com/{user_flow}",
    )
    b2c_tenant_id: str | None = _setting(
        casts.matching(GUID), "the tenant's ID: 22222222-2222-2222-2222-222222222222", None
    )
    authority: str | None = _setting(
        casts.authority,
        "an https URL: https://login.microsoftonline.com/TENANT_ID (Entra ID), "
        "https://contoso.ciamlogin.com (External ID)",
        None,
    )
    authority_kind: str | None = _setting(
        casts.matching(f"{ENTRA_ID}|{EXTERNAL_ID}"), f"{ENTRA_ID} or {EXTERNAL_ID}", None
    )
    allowed_tenants: tuple[str, ...] = _setting(
        casts.allowed_tenants,
        "tenant IDs, separated by spaces; * for any organization; or, for any organization and personal "
        f"accounts, * {PERSONAL_TENANT}",
        (),
    )
    oidc_authority: str | None = _setting(
        casts.authority, "the provider's issuer, an https URL: https://login.example.com/", None
    )

    # The app registration, with exactly one credential.
    client_id: str = _setting(
        casts.matching(r"[!-~]+"), "the Application (client) ID: 11111111-1111-1111-1111-111111111111"
    )
    client_secret: str | None = _setting(
        casts.matching(r"[!-~]+"), "the Value (not the Secret ID) of a client secret", None, show=False
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
        casts.matching(GUID), "the client ID of a user-assigned managed identity", None
    )
    redirect_uri: str = _setting(
        casts.redirect_uri(ROUTES),
        "the registered redirect URI, with https (or http for localhost), a path of its own and no query",
        "http://localhost:5000/getAToken",
    )

    # The web API.
    endpoint: str | None = _setting(
        casts.endpoint,
        "the web API's https URL (http for this machine only): https://localhost:6000/hello",
        None,
    )
    scope: tuple[str, ...] = _setting(
        casts.scopes,
        "the scopes of one web API, separated by spaces: https://contoso.onmicrosoft.com/tasks-api/tasks.read",
        (),
    )
    write_scope: tuple[str, ...] = _setting(
        casts.scopes,
        "the scopes that adding a task needs: https://contoso.onmicrosoft.com/tasks-api/tasks.write",
        (),
    )

    # What users may do.
    roles_claim: str = _setting(
        casts.matching(r"[!-~]+"), "the name of a claim: roles, or extension_Roles in Azure AD B2C", "roles"
    )

    # Profile editing through Microsoft Graph.
    profile_scope: tuple[str, ...] = _setting(
        casts.scopes, "the Microsoft Graph permission to edit one's own profile: User.ReadWrite", ()
    )
    graph_url: str = _setting(
        casts.endpoint,
        "the https URL of Microsoft Graph, with its version: https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com/v1.0",
    )

    # Sessions.
    secret_key: str = _setting(
        casts.secret_key,
        'at least 32 random characters: python -c "import secrets; print(secrets.token_urlsafe(48))"',
        show=False,
    )
    secret_key_fallbacks: tuple[str, ...] = _setting(
        casts.secret_keys,
        "former SECRET_KEYs, separated by spaces, at least 32 random characters each",
        (),
        show=False,
    )
    session_dir: Path = _setting(Path, "a folder that only the app uses", HERE / ".sessions")
    redis_url: str | None = _setting(
        casts.redis_url,
        "a Redis URL: redis://localhost:6379/0, rediss+cluster://HOST:PORT, or "
        "redis+sentinel://HOST:PORT,HOST:PORT/MASTER_NAME/0",
        None,
        show=False,
    )
    session_idle_minutes: int = _setting(casts.minutes, "a whole number of minutes", 24 * 60)
    session_absolute_minutes: int = _setting(casts.minutes, "a whole number of minutes", 14 * 24 * 60)

    # Pages and cookies.
    show_operator_help: bool | None = _setting(casts.yes_or_no, "yes or no", None)
    cookie_prefix: str | None = _setting(
        casts.matching(r"[A-Za-z0-9_-]{1,32}"),
        "up to 32 letters, digits, hyphens and underscores: portal",
        None,
    )

    # Development.
    flask_run_port: int | None = _setting(int, "the port that `flask run` listens on: 5000", None)
    insecure_sign_in_origin: str | None = _setting(
        casts.insecure_sign_in_origin,
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
        return casts.is_loopback(urlsplit(self.origin))

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
    faults += contradictions(given, values)
    if faults:
        raise ConfigError(
            "The app cannot start with these settings:\n\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\n\nSet them in the environment or in a .env file (.env.sample lists all settings)."
            + "\nTo register the app in your own tenant and write .env: flask register"
            + "\nTo try the app without a cloud account: python -m local_tenant flask run --port 5000\n"
        )
    return Settings(**values)


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
