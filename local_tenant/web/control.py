"""The control API for tests and demonstrations: JSON only, on the origin of the pages.

It is there only if it was asked for, and only for programs on this machine. docs/control.md lists its
endpoints and the faults.
"""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from ..model.accounts import Account, FormError, check_attributes
from ..model.fault_members import check_faults
from ..model.registrations import SINGLE_SIGN_ON, AppRegistration, UserFlow
from ..model.suggestions import did_you_mean
from ..state import TenantState
from .exchange import current_exchange
from .this_machine import is_from_this_machine

blueprint = Blueprint("control", __name__, url_prefix="/control")
switched_off = Blueprint("control_off", __name__, url_prefix="/control")
TURN_ON = "The control API is off. Start the tenant with --control, or with LocalTenant(control=True)."
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _tenant() -> TenantState:
    return current_exchange().tenant


def _body(*required: str, known: Collection[str] | None = None) -> dict[str, Any]:
    """The request's JSON object.

    Only application/json is taken: a page of another site cannot send it without asking first (CORS).
    `known` are all members that it may have, unless the caller checks that itself.
    """
    try:
        sent = request.get_json()
    except (BadRequest, RecursionError):
        abort(400, "The body is not valid JSON.")
    if not isinstance(sent, dict) or any(name not in sent for name in required):
        abort(400, f"Send a JSON object with {', '.join(required) or 'members'}.")
    for name in sent:
        if known is not None and name not in known:
            abort(400, f"There is no member `{name}`.{did_you_mean(name, known)}")
    return sent


@switched_off.route("", methods=METHODS, strict_slashes=False)
@switched_off.route("/<path:path>", methods=METHODS)
def say_how_to_turn_it_on(path: str = "") -> ResponseReturnValue:
    return TURN_ON + "\n", 404, {"Content-Type": "text/plain; charset=utf-8"}


@blueprint.before_request
def refuse_other_machines() -> None:
    if not is_from_this_machine():
        abort(403, "The control API is for programs on the tenant's own machine.")


@blueprint.get("", strict_slashes=False)
def endpoints() -> ResponseReturnValue:
    """An overview for people who open the address in a browser."""
    rules = [rule for rule in current_app.url_map.iter_rules() if rule.endpoint.startswith("control.")]
    listed = [
        f"{method} {rule.rule.replace('<', '{').replace('>', '}')}"
        for rule in rules
        for method in METHODS
        if method in (rule.methods or ())
    ]
    return {"endpoints": sorted(listed, key=str.split), "documentation": "docs/control.md"}


# --- requests


@blueprint.get("/requests")
def requests() -> ResponseReturnValue:
    return jsonify(_tenant().record.entries())


@blueprint.delete("/requests")
def forget_requests() -> ResponseReturnValue:
    _tenant().record.clear()
    return {}


# --- faults


@blueprint.get("/faults")
def faults() -> ResponseReturnValue:
    return _tenant().faults.current()


@blueprint.patch("/faults")
def add_faults() -> ResponseReturnValue:
    wanted = _body()
    try:
        check_faults(wanted)
    except ValueError as error:
        abort(400, str(error))
    code = wanted.get("authorize", {}).get("error", {}).get("code")
    if code is not None and not _tenant().authority.error_with_code(code):
        abort(400, f"There is no error {code!r} here. Send error and error_description instead.")
    _tenant().faults.merge(wanted)
    return _tenant().faults.current()


@blueprint.delete("/faults")
def clear_faults() -> ResponseReturnValue:
    _tenant().faults.clear()
    return {}


@blueprint.get("/holds")
def holds() -> ResponseReturnValue:
    return jsonify(_tenant().faults.holds())


@blueprint.post("/release")
def release() -> ResponseReturnValue:
    name = _body("hold", known=["hold"])["hold"]
    if not isinstance(name, str):
        abort(400, "The hold is the name under which requests wait.")
    return {"released": _tenant().faults.release(name)}


# --- keys, clock, options


@blueprint.post("/rotate-keys")
def rotate_keys() -> ResponseReturnValue:
    keys, keep_old = _tenant().keys, _body(known=["keep_old"]).get("keep_old", False)
    if not isinstance(keep_old, bool):
        abort(400, "'keep_old' is true or false.")
    keys.rotate(keep_old=keep_old)
    return jsonify(keys=[key.jwk() for key in keys.published()])


@blueprint.get("/clock")
def clock() -> ResponseReturnValue:
    clock = _tenant().clock
    return {"offset": clock.offset, "now": clock.now()}


@blueprint.put("/clock")
def set_clock() -> ResponseReturnValue:
    try:
        _tenant().clock.move(_body("offset", known=["offset"])["offset"])
    except ValueError as error:
        abort(400, str(error))
    return clock()


@blueprint.get("/options")
def options() -> ResponseReturnValue:
    return {**asdict(_tenant().options), "client_secret": _tenant().app.client_secret}


@blueprint.patch("/options")
def change_options() -> ResponseReturnValue:
    """Change the options. `client_secret` is the first app's."""
    wanted, app = _body(), _tenant().app
    secret = wanted.pop("client_secret", app.client_secret)
    if not isinstance(secret, str):
        abort(400, f"Option 'client_secret' cannot be {secret!r}.")
    try:
        _tenant().options.change(wanted)
    except ValueError as error:
        abort(400, str(error))
    app.client_secret = secret
    return options()


# --- people and their mail


@blueprint.get("/mail")
def mail() -> ResponseReturnValue:
    return jsonify([asdict(message) for message in _tenant().mailbox.messages])


@blueprint.get("/accounts")
def accounts() -> ResponseReturnValue:
    return jsonify([account.without_password() for account in _tenant().accounts])


@blueprint.post("/accounts")
def add_account() -> ResponseReturnValue:
    attributes = _checked_attributes(_body("email", "password"))
    try:
        return _tenant().accounts.add(Account(**attributes)).without_password(), 201
    except FormError as error:
        abort(409, str(error))


@blueprint.patch("/accounts/<email>")
def change_account(email: str) -> ResponseReturnValue:
    account, attributes = _find_account(email), _checked_attributes(_body())
    if attributes.pop("email", email) != email:
        abort(400, "The e-mail address cannot be changed.")
    for name, value in attributes.items():
        setattr(account, name, value)
    return account.without_password()


@blueprint.delete("/accounts/<email>")
def remove_account(email: str) -> ResponseReturnValue:
    _find_account(email)
    _tenant().accounts.remove(email)
    return {}


@blueprint.post("/accounts/<email>/revoke")
def revoke(email: str) -> ResponseReturnValue:
    _body(known=[])
    _find_account(email).tokens_valid_from = _tenant().clock.now()
    return {}


def _find_account(email: str) -> Account:
    return _tenant().accounts.find(email) or abort(404, f"There is no account {email}.")


def _checked_attributes(wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        check_attributes(wanted)
    except ValueError as error:
        abort(400, str(error))
    return dict(wanted)


# --- app registrations and user flows


@blueprint.get("/apps")
def apps() -> ResponseReturnValue:
    return jsonify([asdict(app) for app in _tenant().apps])


@blueprint.patch("/apps/<client_id>")
def change_app(client_id: str) -> ResponseReturnValue:
    app, wanted = _find_app(client_id), _body()
    if isinstance(wanted.get("redirect_uris"), list):
        for uri in wanted["redirect_uris"]:
            _check_redirect_uri(app, uri)
    if "logout_url" in wanted:
        _check_logout_url(wanted["logout_url"])
    return _change(app, {"id_tokens": bool, "access_tokens": bool, "redirect_uris": list, "logout_url": str})


@blueprint.get("/user-flows")
def user_flows() -> ResponseReturnValue:
    return jsonify([asdict(user_flow) for user_flow in _tenant().authority.user_flows])


@blueprint.patch("/user-flows/<name>")
def change_user_flow(name: str) -> ResponseReturnValue:
    found = [flow for flow in _tenant().authority.user_flows if flow.name.lower() == name.lower()]
    if not found:
        abort(404, f"There is no user flow {name}.")
    return _change(found[0], {"single_sign_on": str, "require_id_token_hint": bool, "userinfo": bool})


def _change(target: AppRegistration | UserFlow, types: dict[str, type]) -> dict[str, Any]:
    """Set the attributes that the request's body names. `types` says which may be set."""
    wanted = _body()
    for name, value in wanted.items():
        if not isinstance(value, types.get(name, ())):
            abort(400, f"{name!r} cannot be {value!r}. These can be changed: {', '.join(types)}.")
    if wanted.get("single_sign_on", "tenant") not in SINGLE_SIGN_ON:
        abort(400, f"'single_sign_on' is one of {', '.join(SINGLE_SIGN_ON)}.")
    for name, value in wanted.items():
        setattr(target, name, value)
    return asdict(target)


@blueprint.post("/redirect-uris")
def add_redirect_uri() -> ResponseReturnValue:
    """Register a redirect URI with the app `client_id`, or else with the first app."""
    body, tenant = _body("redirect_uri", known=["redirect_uri", "client_id"]), _tenant()
    app = _find_app(body.get("client_id", tenant.app.client_id))
    _check_redirect_uri(app, body["redirect_uri"])
    if body["redirect_uri"] not in app.redirect_uris:
        app.redirect_uris.append(body["redirect_uri"])
    return {"redirect_uris": app.redirect_uris}


@blueprint.put("/logout-url")
def set_logout_url() -> ResponseReturnValue:
    app = _tenant().app
    logout_url = _body("logout_url", known=["logout_url"])["logout_url"]
    _check_logout_url(logout_url)
    app.logout_url = logout_url
    return {"logout_url": app.logout_url}


def _find_app(client_id: object) -> AppRegistration:
    return _tenant().apps.find(str(client_id)) or abort(404, f"There is no app {client_id}.")


def _check_redirect_uri(app: AppRegistration, uri: object) -> None:
    if not isinstance(uri, str):
        abort(400, f"A redirect URI is a text, not {uri!r}.")
    if fault := _tenant().authority.redirect_uri_fault(uri, app.type):
        abort(400, f"{uri!r} cannot be a redirect URI. {fault}")


def _check_logout_url(url: object) -> None:
    """Front-channel sign-out loads this address in a frame. "" for none."""
    if not isinstance(url, str) or (url and _tenant().authority.redirect_uri_fault(url, "web")):
        abort(400, f"{url!r} cannot be a logout URL. It is an address with https, or with http on localhost.")
