"""A minimal app on the identity package, as its documentation and Microsoft's newest sample use it.

https://identity-library.readthedocs.io/en/latest/flask.html
"""

import os
from typing import Any

import requests
from flask import Flask
from identity.flask import Auth  # type: ignore[import-untyped, import-not-found, unused-ignore]
from identity.web import Auth as WebAuth  # type: ignore[import-untyped, import-not-found, unused-ignore]

from benchmarks.peers.page import TEMPLATES, dress, render_home

authority = os.environ["AUTHORITY_TEMPLATE"].format
tenant = os.environ["B2C_TENANT_NAME"]

app = Flask(__name__, template_folder=TEMPLATES)
app.config.update(SESSION_TYPE="filesystem", SESSION_FILE_DIR=os.environ["SESSION_DIR"])
auth = Auth(
    app,
    authority=authority(tenant=tenant, user_flow=os.environ["SIGNUPSIGNIN_USER_FLOW"]),
    client_id=os.environ["CLIENT_ID"],
    client_credential=os.environ["CLIENT_SECRET"],
    redirect_uri=os.environ["REDIRECT_URI"],
)
# b2c_edit_profile_user_flow= sets this same attribute, but only for hosts under b2clogin.com.
auth._edit_profile_auth = WebAuth(
    session={},
    authority=authority(tenant=tenant, user_flow=os.environ["EDITPROFILE_USER_FLOW"]),
    client_id=os.environ["CLIENT_ID"],
    http_cache=auth._http_cache,
)


@app.route("/")
@auth.login_required  # type: ignore[misc, untyped-decorator, unused-ignore]
def home(*, context: dict[str, Any]) -> str:
    auth.get_edit_profile_url()  # the sample shows it on this page
    return render_home(context["user"])


@app.route("/call_downstream_api")
@auth.login_required(scopes=os.environ["SCOPE"].split())  # type: ignore[misc, untyped-decorator, unused-ignore]
def call_downstream_api(*, context: dict[str, Any]) -> Any:
    headers = {"Authorization": "Bearer " + context["access_token"]}
    return requests.get(os.environ["ENDPOINT"], headers=headers, timeout=30).json()


dress(app)
