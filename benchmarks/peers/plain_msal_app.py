"""A minimal app on plain MSAL in the manner of Microsoft's sample of 2022: a new client at every use."""

import os
from typing import Any

import msal  # type: ignore[import-untyped, import-not-found, unused-ignore]
import requests
from flask import Flask, redirect, request, session, url_for
from flask_session import Session  # type: ignore[import-untyped, import-not-found, unused-ignore]
from werkzeug import Response

from benchmarks.peers.page import TEMPLATES, dress, render_home

app = Flask(__name__, template_folder=TEMPLATES)
app.config.update(SESSION_TYPE="filesystem", SESSION_FILE_DIR=os.environ["SESSION_DIR"])
Session(app)
scopes = os.environ["SCOPE"].split()


def build_client(user_flow: str, cache: msal.SerializableTokenCache | None = None) -> Any:
    authority = os.environ["AUTHORITY_TEMPLATE"].format(
        tenant=os.environ["B2C_TENANT_NAME"], user_flow=user_flow
    )
    return msal.ConfidentialClientApplication(
        os.environ["CLIENT_ID"],
        authority=authority,
        client_credential=os.environ["CLIENT_SECRET"],
        token_cache=cache,
    )


def build_flow(user_flow: str, wanted: list[str]) -> Any:
    return build_client(user_flow).initiate_auth_code_flow(wanted, redirect_uri=os.environ["REDIRECT_URI"])


def load_cache() -> msal.SerializableTokenCache:
    cache = msal.SerializableTokenCache()
    if session.get("token_cache"):
        cache.deserialize(session["token_cache"])
    return cache


def save_cache(cache: msal.SerializableTokenCache) -> None:
    if cache.has_state_changed:
        session["token_cache"] = cache.serialize()


@app.route("/")
def home() -> Response | str:
    if not session.get("user"):
        return redirect(url_for("login"))
    build_flow(os.environ["EDITPROFILE_USER_FLOW"], [])  # the sample shows its address on this page
    return render_home(session["user"])


@app.route("/login")
def login() -> Response:
    session["flow"] = build_flow(os.environ["SIGNUPSIGNIN_USER_FLOW"], scopes)
    return redirect(session["flow"]["auth_uri"])


@app.route("/getAToken")
def callback() -> Response:
    cache = load_cache()
    client = build_client(os.environ["SIGNUPSIGNIN_USER_FLOW"], cache)
    session["user"] = client.acquire_token_by_auth_code_flow(session["flow"], request.args)["id_token_claims"]
    save_cache(cache)
    return redirect(url_for("home"))


@app.route("/call_downstream_api")
def call_downstream_api() -> Any:
    cache = load_cache()
    client = build_client(os.environ["SIGNUPSIGNIN_USER_FLOW"], cache)
    token = client.acquire_token_silent(scopes, account=client.get_accounts()[0])
    save_cache(cache)
    headers = {"Authorization": "Bearer " + token["access_token"]}
    return requests.get(os.environ["ENDPOINT"], headers=headers, timeout=30).json()


@app.post("/logout")
def logout() -> Response:
    session.clear()
    return redirect(url_for("home"))


dress(app)
