"""A small part of Microsoft Graph: the signed-in user's profile, and userinfo.

Source: Microsoft Graph reference, "Get a user", "Update user"; Microsoft Learn, "UserInfo endpoint".
"""

import uuid
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from ..authorities.microsoft import GRAPH_CLIENT_ID, pairwise
from ..model.accounts import Account
from .bearer import TokenRefused, checked_claims, insufficient_claims
from .exchange import current_exchange

blueprint = Blueprint("graph", __name__)

# Graph's properties that a user can change, and the attributes of an account.
PROPERTIES = {
    "city": "city",
    "country": "country",
    "displayName": "display_name",
    "givenName": "given_name",
    "jobTitle": "job_title",
    "postalCode": "postal_code",
    "preferredLanguage": "preferred_language",
    "state": "state",
    "streetAddress": "street_address",
    "surname": "surname",
}
# Those that GET /me returns unless $select says otherwise.
SHOWN = ("displayName", "givenName", "jobTitle", "preferredLanguage", "surname")


@blueprint.get("/v1.0/me")
def read_me() -> ResponseReturnValue:
    account, _ = _user("User.Read", "User.ReadWrite")
    everything = {name: getattr(account, attribute) or None for name, attribute in PROPERTIES.items()} | {
        "id": account.sub,
        "mail": account.email,
        "userPrincipalName": account.email,
    }
    selected = request.args.get("$select", "")
    names = [name.strip() for name in selected.split(",") if name.strip() in everything]
    shown = names or [*SHOWN, "id", "mail", "userPrincipalName"]
    context = f"{request.host_url}v1.0/$metadata#users{f'({selected})' if selected else ''}/$entity"
    return jsonify({"@odata.context": context} | {name: everything[name] for name in shown})


@blueprint.patch("/v1.0/me")
def change_me() -> ResponseReturnValue:
    account, _ = _user("User.ReadWrite")
    wanted = request.get_json(silent=True)
    if not isinstance(wanted, dict) or not wanted:
        _fail(400, "BadRequest", "Send a JSON object with the properties to change.")
    for name, value in wanted.items():
        if name not in PROPERTIES:
            _fail(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        if not (value is None or isinstance(value, str)) or (name == "displayName" and not value):
            _fail(400, "Request_BadRequest", f"Invalid value specified for property '{name}' of 'User'.")
    for name, value in wanted.items():
        setattr(account, PROPERTIES[name], value or "")
    return "", 204


@blueprint.route("/oidc/userinfo", methods=["GET", "POST"])
def userinfo() -> ResponseReturnValue:
    account, claims = _user()
    members = {
        "sub": pairwise(account.sub, claims["azp"]),
        "name": account.display_name,
        "given_name": account.given_name,
        "family_name": account.surname,
        "email": account.email,
    }
    return jsonify({name: value for name, value in members.items() if value})


def _user(*scopes: str) -> tuple[Account, dict[str, Any]]:
    """The user of the request's access token, and its claims. One of the scopes will do."""
    header = request.authorization
    if not header or header.type != "bearer" or not header.token:
        # A request without a token gets a challenge without an error code (RFC 6750, section 3.1).
        _fail(401, "InvalidAuthenticationToken", "Access token is empty.", 'Bearer realm=""')
    tenant = current_exchange().tenant
    try:
        claims = checked_claims(tenant, header.token, GRAPH_CLIENT_ID)
    except TokenRefused as refused:
        current_exchange().note_error(str(refused), error="InvalidAuthenticationToken")
        _fail(401, "InvalidAuthenticationToken", "Access token validation failure.")
    account = tenant.accounts.find_by_sub(claims["oid"])
    if not account:
        _fail(401, "InvalidAuthenticationToken", "Access token validation failure.")
    if challenge := insufficient_claims(tenant, claims):
        _fail(
            401,
            "InvalidAuthenticationToken",
            "Continuous access evaluation resulted in challenge.",
            challenge,
        )
    if scopes and not set(scopes) & set(str(claims["scp"]).split()):
        _fail(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    return account, claims


def _fail(status: int, code: str, message: str, challenge: str = "") -> NoReturn:
    current_exchange().note_error(message, error=code)
    inner = {"request-id": str(uuid.uuid4()), "client-request-id": str(uuid.uuid4())}
    response: Response = jsonify(error={"code": code, "message": message, "innerError": inner})
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = challenge or 'Bearer realm="", error="invalid_token"'
    abort(response)
