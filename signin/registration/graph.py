"""A client for Microsoft Graph that bounds every call and waits when Graph asks it to.

Sources: Microsoft Learn, "Microsoft Graph throttling guidance", "Microsoft Graph error responses and resource
types", "Paging Microsoft Graph data in your app".
"""

import json
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from signin.oidc import HttpClient, HttpError, Response

from .errors import GraphRefused, GraphUnavailable, PermissionMissing

GRAPH_URL = "https://graph.microsoft.com"
DEADLINE = 30.0  # seconds for one call; writes to the directory are slow
MOST_WAITING = 120.0  # seconds that one run waits altogether because Graph asks it to
LONGEST_WAIT = 24 * 3600.0  # seconds; what a header asks for beyond that is no sensible number
FIRST_WAIT = 1.0  # seconds, if Graph does not say how long; doubles each time
MOST_TRIES = 6
MOST_PAGES = 50
BUSY = (429, 503, 504)

Json = dict[str, Any]


class Graph:
    """Microsoft Graph v1.0, for one operator.

    `sleep` waits for a number of seconds. `say` tells the operator why nothing happens meanwhile.
    """

    def __init__(
        self,
        access_token: str,
        url: str = GRAPH_URL,
        *,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda line: None,
    ):
        self._access_token = access_token
        self._base = f"{url.rstrip('/')}/v1.0"
        self._http = HttpClient("Microsoft Graph", ca_for=url, deadline=DEADLINE)
        self._sleep, self._say = sleep, say
        self._waited = 0.0

    def get(self, path: str) -> Json:
        """Read one object. Raises RegistrationError."""
        return self.send("GET", path)

    def get_if_there(self, path: str) -> Json | None:
        """Read one object, or None if there is none. Raises RegistrationError."""
        try:
            return self.get(path)
        except GraphRefused as refusal:
            if refusal.status == 404:
                return None
            raise

    def get_all(self, path: str) -> list[Json]:
        """Read all objects of a collection, page by page. Raises RegistrationError."""
        found: list[Json] = []
        for _ in range(MOST_PAGES):
            page = self.get(path)
            found += page.get("value", [])
            next_link = page.get("@odata.nextLink")
            if not isinstance(next_link, str):
                return found
            if not next_link.startswith(f"{self._base}/"):  # the access token goes to Graph only
                raise GraphUnavailable(f"Microsoft Graph leads to another address: {next_link[:80]!r}.")
            path = next_link.removeprefix(self._base)
        raise GraphUnavailable(f"Microsoft Graph has more than {MOST_PAGES} pages of {path.split('?')[0]}.")

    def send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        just_made: bool = False,
    ) -> Json:
        """Send one request and return the answer's JSON, `{}` for none. Raises RegistrationError.

        With `just_made`, a 404 or 400 is tried again: a new object is not everywhere in the directory at
        once, and requests that refer to it fail until then.
        """
        retried = (*BUSY, 404, 400) if just_made else BUSY
        wait = FIRST_WAIT
        for tries_left in reversed(range(MOST_TRIES)):
            response = self._exchange(method, path, body, headers or {})
            if response.status not in retried or not tries_left:
                break
            self._wait(_retry_after(response) or wait, response.status)
            wait *= 2
        if response.status >= 400:
            raise _refusal(method, path, response)
        return _json_object(response) if response.text.strip() else {}

    def _exchange(self, method: str, path: str, body: Json | None, headers: Mapping[str, str]) -> Response:
        content = {"Content-Type": "application/json"} if body is not None else {}
        sent = {"Authorization": f"Bearer {self._access_token}", "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._http.request(
                method, self._base + path, body=data, headers={**sent, **content, **headers}
            )
        except HttpError as error:
            raise GraphUnavailable(
                f"No answer from Microsoft Graph to {_short(method, path)}: {error}."
            ) from error
        if response.truncated:
            raise GraphUnavailable(f"Microsoft Graph's answer to {_short(method, path)} is too long.")
        return response

    def _wait(self, seconds: float, status: int) -> None:
        if self._waited + seconds > MOST_WAITING:
            raise GraphUnavailable(
                f"Microsoft Graph is busy (HTTP {status}) and asks to wait for {seconds:.0f} seconds. "
                "Run the command again later."
            )
        self._waited += seconds
        if status in BUSY:
            self._say(f"Microsoft Graph asks for a pause of {seconds:.0f} s.")
        else:
            self._say(f"Waiting {seconds:.0f} s, until the new objects are everywhere in the directory.")
        self._sleep(seconds)


def literal(text: str) -> str:
    """`text` as an OData string literal, percent-encoded for a URL."""
    return quote("'" + text.replace("'", "''") + "'", safe="'")


def equals(name: str, text: str) -> str:
    """The OData filter `name eq 'text'`, percent-encoded for a URL."""
    return f"{name}%20eq%20{literal(text)}"


def query(path: str, **options: str) -> str:
    """`path` with OData options: `filter`, `select`. The values are percent-encoded already."""
    return f"{path}?" + "&".join(f"${name}={value}" for name, value in options.items())


def _retry_after(response: Response) -> float | None:
    """The seconds that the header asks for: a number, or the time of a date (RFC 9110 section 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST_WAIT)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT)


def _json_object(response: Response) -> Json:
    try:
        members = json.loads(response.text)
    except ValueError as error:
        raise GraphUnavailable("Microsoft Graph's answer is no JSON. Is a proxy in between?") from error
    if not isinstance(members, dict):
        raise GraphUnavailable("Microsoft Graph's answer is no JSON object. Is a proxy in between?")
    return members


def _refusal(
    method: str, path: str, response: Response
) -> GraphRefused | GraphUnavailable | PermissionMissing:
    tried = _short(method, path)
    if response.status >= 500 or response.status == 429:
        return GraphUnavailable(
            f"Microsoft Graph answers {response.status} to {tried}. Run the command again later."
        )
    try:
        error = _json_object(response).get("error")
    except GraphUnavailable:
        error = None
    error = error if isinstance(error, dict) else {}
    inner = error.get("innerError")
    code, message = str(error.get("code", "")), str(error.get("message", ""))[:300]
    request_id = str(inner.get("request-id", "")) if isinstance(inner, dict) else ""
    if response.status == 401:
        return PermissionMissing("Microsoft Graph does not accept the access token. Sign in again.")
    if response.status == 403:
        return PermissionMissing(
            f"You may not do this: {tried}. You need the role Cloud Application Administrator (for user "
            "flows: External ID User Flow Administrator). Or let somebody who has it run this command. "
            f"(Microsoft Graph: {code} {message})"
        )
    detail = f"Microsoft Graph refuses {tried}: {code} {message} (request ID {request_id or 'unknown'})"
    return GraphRefused(detail, status=response.status, code=code, request_id=request_id)


def _short(method: str, path: str) -> str:
    return f"{method} {path.split('?')[0]}"
