"""A web app: `identity` by its settings for Azure AD B2C, which have its host names built in."""

import os
from typing import Any
from urllib.parse import urlsplit

import requests
from cachelib import SimpleCache
from flask import Flask
from identity.flask import Auth

APP_URL, ENDPOINT = os.environ["APP_URL"], os.environ["ENDPOINT"]

app = Flask(__name__)
app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=SimpleCache())
auth = Auth(
    app,
    client_id=os.environ["CLIENT_ID"],
    client_credential=os.environ["CLIENT_SECRET"],
    redirect_uri=f"{APP_URL}/redirect",
    b2c_tenant_name=os.environ["B2C_TENANT_NAME"],
    b2c_signup_signin_user_flow=os.environ["SIGNUPSIGNIN_USER_FLOW"],
)


@app.get("/")
@auth.login_required  # type: ignore[untyped-decorator]
def home(*, context: dict[str, Any]) -> dict[str, Any]:
    return {"user": context["user"]["name"]}


@app.get("/tasks")
@auth.login_required(scopes=os.environ["SCOPES"].split())  # type: ignore[untyped-decorator]
def call_api(*, context: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {context['access_token']}"}
    return requests.get(ENDPOINT, headers=headers, timeout=10).json()


if __name__ == "__main__":
    app.run(port=urlsplit(APP_URL).port)
