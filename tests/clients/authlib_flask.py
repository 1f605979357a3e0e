"""A web app: Authlib's Flask client, with PKCE and a client secret."""

import os
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.flask_client import OAuth
from cachelib import SimpleCache
from flask import Flask, redirect, session
from flask_session import Session
from werkzeug import Response

APP_URL, ENDPOINT = os.environ["APP_URL"], os.environ["ENDPOINT"]


def keep_tokens(tokens: dict[str, Any], **_: object) -> None:
    session["tokens"] = tokens


app = Flask(__name__)
app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
Session(app)
tenant = OAuth(app).register(
    "tenant",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=f"{os.environ['AUTHORITY']}/v2.0/.well-known/openid-configuration",
    client_kwargs={
        "scope": f"openid offline_access {os.environ['SCOPES']}",
        "code_challenge_method": "S256",
    },
    update_token=keep_tokens,
)


@app.get("/")
def home() -> dict[str, Any]:
    return {"user": session.get("user")}


@app.get("/sign-in")
def sign_in() -> Response:
    response: Response = tenant.authorize_redirect(f"{APP_URL}/redirect")
    return response


@app.get("/redirect")
def complete_sign_in() -> Response:
    tokens = tenant.authorize_access_token()
    session["user"] = tokens.pop("userinfo")["name"]
    session["tokens"] = tokens
    return redirect("/")


@app.get("/tasks")
def call_api() -> Any:
    return tenant.get(ENDPOINT, token=session["tokens"]).json()


@app.get("/refresh")
def refresh() -> Any:
    return tenant.get(ENDPOINT, token=session["tokens"] | {"expires_at": 0}).json()


@app.get("/sign-out")
def sign_out() -> Response:
    id_token = session["tokens"]["id_token"]
    session.clear()
    response: Response = tenant.logout_redirect(APP_URL, id_token_hint=id_token)
    return response


if __name__ == "__main__":
    app.run(port=urlsplit(APP_URL).port)
