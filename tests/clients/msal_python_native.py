"""A program on somebody's own machine: MSAL Python's PublicClientApplication, with a loopback server."""

import json
import os
import webbrowser
from typing import Any

import msal
import requests

ENDPOINT, SCOPES = os.environ["ENDPOINT"], os.environ["SCOPES"].split()


class Announced(webbrowser.BaseBrowser):
    """Says which address to open, instead of opening a browser."""

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        print(f"open={url}", flush=True)
        return True


def call_api(access_token: str) -> Any:
    headers = {"Authorization": f"Bearer {access_token}"}
    return requests.get(ENDPOINT, headers=headers, timeout=10).json()


webbrowser.register("announced", None, Announced(), preferred=True)
client = msal.PublicClientApplication(
    os.environ["CLIENT_ID"], authority=os.environ["AUTHORITY"], instance_discovery=False
)
signed_in = client.acquire_token_interactive(SCOPES, timeout=30)
[account] = client.get_accounts()
cached = client.acquire_token_silent(SCOPES, account)
refreshed = client.acquire_token_silent(SCOPES, account, force_refresh=True)
result = {
    "user": signed_in["id_token_claims"]["name"],
    "owners": [call_api(tokens["access_token"])["owner"] for tokens in (cached, refreshed)],
}
print(f"result={json.dumps(result)}", flush=True)
