"""What MSAL talks through: metadata comes from our cache, token requests are bounded and checked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from .errors import ProviderUnavailable
from .http_client import HttpClient
from .metadata import Authority, ask, json_object


@dataclass(frozen=True)
class Answer:
    """A response in the form that MSAL reads."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        """Nothing to do: `ask` raises for the statuses that MSAL asks about."""


class Transport:
    """MSAL's `http_client` for one authority."""

    def __init__(self, authority: Authority, http: HttpClient):
        self._authority = authority
        self._http = http

    def get(self, url: str, **_: Any) -> Answer:
        """MSAL sends GET only for metadata, so every GET is answered from our cache."""
        return Answer(200, {}, json.dumps(dict(self._authority.metadata)))

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], **_: Any) -> Answer:
        """Send a token request.

        Raises ProviderUnavailable unless the answer is a JSON object whose access token, where there is one,
        can stand in a header (RFC 6750 section 2.1).
        """
        headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        response = ask(self._http, "POST", url, body=urlencode(data).encode(), headers=headers)
        access_token = json_object(response, url).get("access_token", "none")
        if not isinstance(access_token, str) or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", access_token):
            raise ProviderUnavailable(f"{url} answered with an access token that is no bearer token", url=url)
        return Answer(response.status, response.headers, response.text)

    def close(self) -> None:
        """Nothing to do: the connections are shared."""
