"""Every setting of the app: read once from the environment, cast and checked, with help for what is wrong.

A `.env` file beside this module is read too; what the environment says wins over it.
"""

import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dotenv import load_dotenv

HERE = Path(__file__).resolve().parent
ROUTES = {"/", "/login", "/logout", "/edit_profile", "/reset_password", "/call_downstream_api"}
ROUTES |= {"/token_details", "/healthz"}


class ConfigError(Exception):
    """One message that names every missing or malformed setting and what each should look like."""


def _matching(pattern: str) -> Callable[[str], str]:
    def cast(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return cast


def _address(text: str, *schemes: str) -> SplitResult:
    """The parts of a URL with one of these schemes, a host, and a port that can be. Raises ValueError."""
    url = urlsplit(text)
    if not re.fullmatch(r"[!-~]+", text) or url.scheme not in schemes or not url.hostname or url.port == 0:
        raise ValueError
    return url


def _redirect_uri(text: str) -> str:
    """Microsoft Learn, "Redirect URI (reply URL) restrictions": https, or http for this machine; no query."""
    uri = _address(text, "https", "http")
    if uri.scheme == "http" and uri.hostname not in ("localhost", "127.0.0.1"):
        raise ValueError
    if "@" in uri.netloc or uri.query or uri.fragment:
        raise ValueError
    if not uri.path.startswith("/") or uri.path in ROUTES or uri.path.startswith("/static/"):
        raise ValueError
    return text


def _authority_template(text: str) -> str:
    placeholders = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    url = _address(text.format(tenant="t", user_flow="f"), "https")
    if "user_flow" not in placeholders or not url.path.strip("/"):
        raise ValueError
    return text


def _endpoint(text: str) -> str:
    _address(text, "http", "https")
    return text


def _redis_url(text: str) -> str:
    if not text.startswith("unix://"):
        _address(text, "redis", "rediss")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    """B2C gives an access token for one resource at a time, named by the part before the last slash."""
    scopes = tuple(text.split())
    whole = all(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/]+/.*[^/]|[0-9a-fA-F-]{36}", scope) for scope in scopes)
    if not whole or len({scope.rpartition("/")[0] for scope in scopes}) != 1:
        raise ValueError
    return scopes


def _secret(text: str) -> str:
    if not re.fullmatch(r"\S{32,}", text):  # without blanks: SECRET_KEY_FALLBACKS is separated by them
        raise ValueError
    return text


def _minutes(text: str) -> int:
    minutes = int(text)
    if minutes < 1:
        raise ValueError
    return minutes


def _setting(
    cast: Callable[[str], Any], looks_like: str, default: Any = MISSING, *, show: bool = True
) -> Any:
    options = {} if default is MISSING else {"default": default}
    return field(**options, repr=show, metadata={"cast": cast, "looks_like": looks_like})


_user_flow = _matching(r"(?i)b2c_1a?_[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app's settings. The environment variable of each is its name in capitals."""

    b2c_tenant_name: str = _setting(
        _matching(r"(?i)[a-z0-9][a-z0-9-]*"), "the first part of the tenant's name: contoso"
    )
    client_id: str = _setting(
        _matching(r"[!-~]+"), "the Application (client) ID: 11111111-1111-1111-1111-111111111111"
    )
    client_secret: str = _setting(
        _matching(r"[!-~]+"), "the Value (not the Secret ID) of a client secret", show=False
    )
    signupsignin_user_flow: str = _setting(_user_flow, "a sign-up and sign-in user flow: B2C_1_signupsignin1")
    secret_key: str = _setting(
        _secret,
        'at least 32 random characters: python -c "import secrets; print(secrets.token_urlsafe(48))"',
        show=False,
    )
    editprofile_user_flow: str | None = _setting(
        _user_flow, "a profile editing user flow: B2C_1_profileediting1", None
    )
    resetpassword_user_flow: str | None = _setting(
        _user_flow, "a password reset user flow: B2C_1_passwordreset1", None
    )
    endpoint: str | None = _setting(_endpoint, "the web API's URL: https://localhost:6000/hello", None)
    scope: tuple[str, ...] = _setting(
        _scopes,
        "full scope URIs of one API, with a space between: https://contoso.onmicrosoft.com/tasks-api/tasks.read",
        (),
    )
    redirect_uri: str = _setting(
        _redirect_uri,
        "the registered redirect URI, with https (or http for localhost), a path of its own and no query",
        "http://localhost:5000/getAToken",
    )
    authority_template: str = _setting(
        _authority_template,
        "an https URL with {user_flow} in it: https://login.contoso.com/{tenant}.onmicrosoft.com/{user_flow}",
        "https://{tenant}.b2clogin.com/{tenant}.onmicrosoft.com/{user_flow}",
    )
    b2c_tenant_id: str | None = _setting(
        _matching(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        "the tenant's ID: 22222222-2222-2222-2222-222222222222",
        None,
    )
    secret_key_fallbacks: tuple[str, ...] = _setting(
        lambda text: tuple(_secret(key) for key in text.split()),
        "former SECRET_KEYs, with a space between, at least 32 characters each",
        (),
        show=False,
    )
    session_dir: Path = _setting(Path, "a folder of the app's own", HERE / ".sessions")
    redis_url: str | None = _setting(_redis_url, "a Redis URL: redis://localhost:6379/0", None, show=False)
    session_idle_minutes: int = _setting(_minutes, "a whole number of minutes", 24 * 60)
    session_absolute_minutes: int = _setting(_minutes, "a whole number of minutes", 14 * 24 * 60)

    @property
    def origin(self) -> str:
        """The app's own scheme, host and port, as the browser knows them."""
        uri = urlsplit(self.redirect_uri.lower())
        default_port = {"https": ":443", "http": ":80"}[uri.scheme]
        return f"{uri.scheme}://{uri.netloc.removesuffix(default_port)}"

    @property
    def host(self) -> str:
        """The one `Host` that the app answers to."""
        return urlsplit(self.origin).netloc

    @property
    def https(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def callback_path(self) -> str:
        return urlsplit(self.redirect_uri).path

    def authority(self, user_flow: str) -> str:
        """The authority URL of `user_flow`, from `AUTHORITY_TEMPLATE`."""
        return self.authority_template.format(tenant=self.b2c_tenant_name, user_flow=user_flow)


def read(environ: Mapping[str, str]) -> Settings:
    """Cast and check the settings in `environ`; an empty value counts as not set.

    Raises ConfigError, which names every setting that is missing or malformed.
    """
    values, problems = {}, []
    for setting in fields(Settings):
        name = setting.name.upper()
        text = environ.get(name, "").strip()
        if not text:
            if setting.default is MISSING:
                problems.append(f"{name} is missing. It should be {setting.metadata['looks_like']}")
            continue
        try:
            values[setting.name] = setting.metadata["cast"](text)
        except (ValueError, KeyError, IndexError):  # the last two: a stray brace in AUTHORITY_TEMPLATE
            problems.append(f"{name} is malformed. It should be {setting.metadata['looks_like']}")
    if bool(environ.get("ENDPOINT", "").strip()) != bool(environ.get("SCOPE", "").strip()):
        problems.append("ENDPOINT and SCOPE belong together. Set both, or neither")
    user_flows = [value.lower() for name, value in values.items() if name.endswith("_user_flow")]
    if len(set(user_flows)) < len(user_flows):
        problems.append("Two of the user flows are the same. Each does a thing of its own")
    if problems:
        raise ConfigError(
            "The app cannot start with these settings:\n\n"
            + "\n".join(f"  - {problem}" for problem in problems)
            + "\n\nSet them in the environment or in a .env file (.env.sample shows every one)."
            + "\nTo try the app without a tenant: python -m local_tenant flask run --port 5000\n"
        )
    return Settings(**values)


def load() -> Settings:
    """The settings from the environment and, where it is silent, from `.env` beside this module."""
    load_dotenv(HERE / ".env")
    return read(os.environ)
