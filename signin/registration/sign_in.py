"""Signs the operator in with MSAL, to get an access token for Microsoft Graph.

Source: Microsoft Learn, "Acquiring tokens interactively" and "Using the device code flow" (MSAL Python).
Security defaults block the device code flow, so the browser comes first.
"""

import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msal

from signin.oidc import HttpClient, HttpError

from .errors import PermissionMissing, SignInFailed, WrongTenant

LOGIN_URL = "https://login.microsoftonline.com"
# Microsoft Graph Command Line Tools: Microsoft's own public client, which may ask for any Graph permission.
GRAPH_COMMAND_LINE_TOOLS = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
BLOCKED_BY_POLICY = 53003  # AADSTS53003: Conditional Access does not issue the token
BROWSER_TIMEOUT = 300  # seconds

Say = Callable[[str], None]


@dataclass(frozen=True)
class Operator:
    """Who makes the registration, and in which tenant."""

    access_token: str = field(repr=False)
    tenant_id: str
    username: str


def sign_in(
    tenant: str,
    scopes: tuple[str, ...],
    *,
    graph_url: str,
    login_url: str = LOGIN_URL,
    client_id: str = GRAPH_COMMAND_LINE_TOOLS,
    device_code: bool = False,
    say: Say = print,
) -> Operator:
    """Sign the operator in to `tenant` (an ID or a domain) with these Microsoft Graph permissions.

    Opens the system's browser. With `device_code`, or on a machine without a browser, shows a code instead.
    `say` shows a line to the operator. Raises SignInFailed, WrongTenant, PermissionMissing.
    """
    authority = f"{login_url.rstrip('/')}/{tenant}"
    try:
        # The operator has typed the authority, so nothing is left to be discovered about it.
        app = msal.PublicClientApplication(
            client_id, authority=authority, instance_discovery=False, http_client=_Http(login_url)
        )
    except ValueError as error:
        raise WrongTenant(f"There is no tenant {tenant}: {authority} has no metadata.") from error
    by_device_code = device_code or not _has_browser()
    full_names = [f"{graph_url.rstrip('/')}/{scope}" for scope in scopes]
    try:
        if by_device_code:
            result = _by_device_code(app, full_names, say)
        else:
            result = _by_browser(app, full_names, say)
    except (
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # MSAL: a wrong nonce, an answer it cannot read
        raise SignInFailed(f"The sign-in failed: {error}.") from error
    return _operator(result, scopes, by_device_code=by_device_code)


def _has_browser() -> bool:
    """Whether there is a browser with a window. One in the terminal cannot show the sign-in pages."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return type(browser) is not webbrowser.GenericBrowser


def _by_browser(app: Any, scopes: list[str], say: Say) -> Mapping[str, Any] | None:
    say("Sign in as an administrator of the tenant. The browser opens. (No browser? Use --device-code.)")
    result: Mapping[str, Any] | None = app.acquire_token_interactive(
        scopes, prompt=msal.Prompt.SELECT_ACCOUNT, timeout=BROWSER_TIMEOUT
    )
    return result


def _by_device_code(app: Any, scopes: list[str], say: Say) -> Mapping[str, Any] | None:
    flow = app.initiate_device_flow(scopes)
    if "user_code" not in flow:
        return dict(flow)
    say(str(flow["message"]))
    result: Mapping[str, Any] | None = app.acquire_token_by_device_flow(flow)
    return result


def _operator(result: Mapping[str, Any] | None, scopes: tuple[str, ...], *, by_device_code: bool) -> Operator:
    if not result:
        raise SignInFailed(f"Nobody signed in within {BROWSER_TIMEOUT // 60} minutes.", error="timeout")
    if "access_token" not in result:
        error, description = str(result.get("error")), str(result.get("error_description", "")).splitlines()
        detail = f"The sign-in failed: {error} {description[0] if description else ''}".strip()
        if BLOCKED_BY_POLICY in result.get("error_codes", ()) and by_device_code:
            detail += " Your tenant may block device codes. Run the command on a machine with a browser."
        raise SignInFailed(detail, error=error)
    granted = {scope.rpartition("/")[2] for scope in str(result.get("scope", "")).split()}
    missing = tuple(scope for scope in scopes if scope not in granted)
    if missing:
        raise PermissionMissing(
            f"The sign-in did not grant {', '.join(missing)}. An administrator has to consent to it.",
            scopes=missing,
        )
    claims = result.get("id_token_claims") or {}
    return Operator(
        str(result["access_token"]), str(claims.get("tid", "")), str(claims.get("preferred_username", ""))
    )


@dataclass(frozen=True)
class _Answer:
    """A response in the form that MSAL reads."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise SignInFailed(f"The sign-in service answers {self.status_code}. Try again later.")


class _Http:
    """What MSAL talks through: bounded in time and size."""

    def __init__(self, login_url: str):
        self._http = HttpClient("sign-in service", ca_for=login_url)

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Answer:
        return self._send("GET", f"{url}?{urlencode(params)}" if params else url, None, headers)

    def post(
        self,
        url: str,
        data: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Answer:
        given = {name: value for name, value in (data or {}).items() if value is not None}
        headers = {**(headers or {}), "Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, urlencode(given).encode(), headers)

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None) -> _Answer:
        try:
            response = self._http.request(method, url, body=body, headers=headers)
        except HttpError as error:
            raise SignInFailed(f"No answer from the sign-in service: {error}.") from error
        return _Answer(response.status, response.headers, response.text)

    def close(self) -> None:
        """Nothing to do: the process ends soon."""
