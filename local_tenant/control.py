"""A client of the control API, for tests in Python."""

import json
import ssl
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import BaseHandler, HTTPSHandler, ProxyHandler, Request, build_opener

SECONDS = 10


class ControlError(Exception):
    """The control API refused a request. `status` is the HTTP status, `reason` what it answered."""

    def __init__(self, status: int, reason: str):
        super().__init__(f"{reason} (status {status})")
        self.status, self.reason = status, reason


class Control:
    """Steers a running tenant. `url` is the origin of its pages; `ca_bundle` is needed if that is https.

    docs/control.md describes the control API. Each method raises ControlError.
    """

    def __init__(self, url: str, ca_bundle: str | None = None):
        self._url = f"{url}/control"
        # The tenant is on this machine, so a proxy of the environment is not asked.
        handlers: list[BaseHandler] = [ProxyHandler({})]
        if url.startswith("https:"):
            handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=ca_bundle)))
        self._opener = build_opener(*handlers)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request with a JSON body. Returns the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = Request(f"{self._url}/{path}", data, headers, method=method)  # noqa: S310 - http or https
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                return json.load(response)
        except HTTPError as refused:
            with refused:
                raise ControlError(refused.code, _reason(refused.read().decode())) from None

    # --- Requests that the tenant and its web API have seen

    def requests(self, *endpoints: str) -> list[dict[str, Any]]:
        """The requests to these endpoints, such as "token" or "api", oldest first. Without names, all."""
        seen: list[dict[str, Any]] = self.call("GET", "requests")
        return [request for request in seen if not endpoints or request["endpoint"] in endpoints]

    def forget_requests(self) -> None:
        self.call("DELETE", "requests")

    # --- Faults, clock, keys, options

    def set_fault(self, leg: str, **members: object) -> None:
        """Let a leg misbehave, such as `set_fault("token", status=503, times=2)`."""
        self.call("PATCH", "faults", {leg: members})

    def clear_faults(self) -> None:
        """End all faults, and release the requests that wait."""
        self.call("DELETE", "faults")

    def waiting(self) -> list[str]:
        """The names under which requests wait."""
        names: list[str] = self.call("GET", "holds")
        return names

    def release(self, name: str) -> None:
        """Let the requests go on that wait under this name."""
        self.call("POST", "release", {"hold": name})

    def move_clock(self, seconds: float) -> None:
        """Set how far the clock of the tenant and its web API is ahead, in seconds."""
        self.call("PUT", "clock", {"offset": seconds})

    def rotate_keys(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on. `keep_old`: go on publishing the old ones."""
        self.call("POST", "rotate-keys", {"keep_old": keep_old})

    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.call("GET", "options")
        return options

    def set_options(self, **options: object) -> None:
        self.call("PATCH", "options", options)

    # --- Accounts and their mail

    def add_account(self, email: str, password: str, **attributes: object) -> dict[str, Any]:
        """Add an account. Returns it without its password."""
        account = {"email": email, "password": password, **attributes}
        added: dict[str, Any] = self.call("POST", "accounts", account)
        return added

    def change_account(self, email: str, **attributes: object) -> None:
        self.call("PATCH", f"accounts/{quote(email)}", attributes)

    def remove_account(self, email: str) -> None:
        self.call("DELETE", f"accounts/{quote(email)}")

    def revoke_tokens(self, email: str) -> None:
        """Revoke the codes and refresh tokens that the account has now."""
        self.call("POST", f"accounts/{quote(email)}/revoke", {})

    def mail(self) -> list[dict[str, Any]]:
        """The messages in the mailbox, oldest first: `to`, `subject`, `code`."""
        messages: list[dict[str, Any]] = self.call("GET", "mail")
        return messages

    # --- The app registration

    def add_redirect_uri(self, redirect_uri: str, client_id: str = "") -> None:
        """Register a redirect URI with an app. Without `client_id`, with the web app."""
        app = {"client_id": client_id} if client_id else {}
        self.call("POST", "redirect-uris", {"redirect_uri": redirect_uri, **app})

    def set_logout_url(self, logout_url: str) -> None:
        """Register the app's address for front-channel sign-out."""
        self.call("PUT", "logout-url", {"logout_url": logout_url})


def _reason(answer: str) -> str:
    """What the control API says in `error`, or else the whole answer."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return answer
