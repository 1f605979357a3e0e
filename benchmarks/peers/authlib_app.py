"""A minimal app on Authlib's Flask client, as its documentation uses it.

The documentation does not say where to keep sessions. They are where identity's documentation keeps them.

https://docs.authlib.org/en/latest/client/flask.html
"""

import os
from typing import Any

from authlib.integrations.flask_client import OAuth  # type: ignore[import-untyped, import-not-found, unused-ignore]
from flask import Flask, redirect, session, url_for
from flask_session import Session  # type: ignore[import-untyped, import-not-found, unused-ignore]
from werkzeug import Response

from benchmarks.peers.page import TEMPLATES, dress, render_home

flow = os.environ["AUTHORITY_TEMPLATE"].format(
    tenant=os.environ["B2C_TENANT_NAME"], user_flow=os.environ["SIGNUPSIGNIN_USER_FLOW"]
)

app = Flask(__name__, template_folder=TEMPLATES)
app.config.update(SESSION_TYPE="filesystem", SESSION_FILE_DIR=os.environ["SESSION_DIR"])
app.secret_key = os.environ["SECRET_KEY"]
Session(app)
oauth = OAuth(app)
oauth.register(
    "b2c",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=f"{flow}/v2.0/.well-known/openid-configuration",
    client_kwargs={
        "scope": "openid offline_access " + os.environ["SCOPE"],
        "code_challenge_method": "S256",
        "token_endpoint_auth_method": "client_secret_post",
    },
)


@app.route("/")
def home() -> str:
    return render_home(session["user"]) if "user" in session else '<a href="/login">Sign in</a>'


@app.route("/login")
def login() -> Any:
    return oauth.b2c.authorize_redirect(os.environ["REDIRECT_URI"])


@app.route("/getAToken")
def callback() -> Response:
    token = oauth.b2c.authorize_access_token()
    session["user"] = token.pop("userinfo")
    session["token"] = token
    return redirect(url_for("home"))


@app.route("/call_downstream_api")
def call_downstream_api() -> Any:
    return oauth.b2c.get(os.environ["ENDPOINT"], token=session["token"]).json()


@app.post("/logout")
def logout() -> Response:
    session.clear()
    return redirect(url_for("home"))


dress(app)
