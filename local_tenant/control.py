"""The control API, for tests and demonstrations; JSON only, on the pages' origin.

| request | does |
|---|---|
| `GET`, `DELETE /control/requests` | every request the tenant and the web API saw, in order: endpoint (discovery, keys, authorize, token, logout, api, page), user_flow, method, path, query, form (without passwords), headers, status |
| `GET`, `PATCH`, `DELETE /control/faults` | misbehaviour per leg; PATCH merges; `times: N` on a leg means the next N requests only |
| `GET /control/holds`, `POST /control/release` `{"hold": name}` | the names requests wait under; let them go |
| `POST /control/rotate-keys` `{"keep_old": bool}` | sign with a new key; publish the old one too or not |
| `GET`, `PUT /control/clock` `{"offset": seconds}` | move the tenant's and the API's notion of now |
| `GET`, `PATCH /control/options` | the options of `model.Options` |
| `GET /control/mail` | the messages of the mailbox |
| `GET`, `POST /control/accounts`; `PATCH`, `DELETE /control/accounts/EMAIL` | people: email, password, display_name, given_name, surname, city, locked |
| `POST /control/accounts/EMAIL/revoke` | the person's refresh tokens and codes stop working |
| `POST /control/redirect-uris` `{"redirect_uri": …}` | register one more |

Legs of `/control/faults`:

| leg | members |
|---|---|
| `id_token` | `set` {claim: value}, `drop` [claim], `alg` RS256, none, HS256, ES256, null; `hs256_key` client_secret or public_key; `key` good or other; `kid` good, absent, unknown or a text; `header` {member: value}; `raw` text; `omit`, `replay` (the previous ID token), `access_token` (in its place): true |
| `authorize` | `set` {parameter: value or [values]}, `drop` [parameter] on the redirect to the app; `error` {error, error_description} or {code: "AADB2C90118"} answers at once |
| `token`, `discovery`, `keys`, `api` | `status`, `headers`, `body`, `content_type`, `delay` (seconds), `reset` (close the connection), `hold` (wait under that name, 30 s at most), `set`/`drop` (members of the JSON) |
| `logout` | `set`, `drop` on the redirect to the app; `status`, `body`, `delay`, `reset`, `hold` as above |
"""  # noqa: E501 - a table

from dataclasses import asdict, fields

from flask import Blueprint, abort, jsonify, request

from .current import tenant
from .directory import Account, Refused
from .errors import KNOWN
from .faults import LEGS

blueprint = Blueprint("control", __name__, url_prefix="/control")
CHANGEABLE = {field.name for field in fields(Account)} - {"sub", "tokens_valid_from"}


def body(*required):
    """The request's JSON object; only application/json, which no foreign web page can send unasked."""
    sent = request.get_json()
    if not isinstance(sent, dict) or any(name not in sent for name in required):
        abort(400, f"Send a JSON object with {', '.join(required) or 'members'}.")
    return sent


@blueprint.get("/requests")
def requests():
    return jsonify(tenant().record.entries())


@blueprint.delete("/requests")
def forget_requests():
    tenant().record.clear()
    return {}


@blueprint.get("/faults")
def faults():
    return tenant().faults.current()


@blueprint.patch("/faults")
def add_faults():
    wanted = body()
    for leg, fault in wanted.items():
        if leg not in LEGS or not isinstance(fault, dict):
            abort(400, f"{leg!r} is no leg with an object; there are {', '.join(LEGS)}.")
        code = fault["error"].get("code") if isinstance(fault.get("error"), dict) else None
        if code is not None and code not in KNOWN:
            abort(400, f"There is no error {code!r} here; send error and error_description instead.")
    tenant().faults.merge(wanted)
    return tenant().faults.current()


@blueprint.delete("/faults")
def clear_faults():
    tenant().faults.clear()
    return {}


@blueprint.get("/holds")
def holds():
    return jsonify(tenant().faults.holds())


@blueprint.post("/release")
def release():
    return {"released": tenant().faults.release(body("hold")["hold"])}


@blueprint.post("/rotate-keys")
def rotate_keys():
    tenant().keys.rotate(body().get("keep_old", False))
    return tenant().keys.jwks()


@blueprint.get("/clock")
def clock():
    return {"offset": tenant().clock.offset, "now": tenant().clock.now()}


@blueprint.put("/clock")
def set_clock():
    offset = body("offset")["offset"]
    if isinstance(offset, bool) or not isinstance(offset, (int, float)):
        abort(400, "offset is a number of seconds.")
    tenant().clock.offset = offset
    return clock()


@blueprint.get("/options")
def options():
    return asdict(tenant().options)


@blueprint.patch("/options")
def change_options():
    try:
        tenant().options.change(body())
    except ValueError as error:
        abort(400, str(error))
    return options()


@blueprint.get("/mail")
def mail():
    return jsonify([asdict(message) for message in tenant().mailbox.messages])


@blueprint.get("/accounts")
def accounts():
    return jsonify([account.public() for account in tenant().directory])


@blueprint.post("/accounts")
def add_account():
    wanted = checked_account(body("email", "password"))
    try:
        return tenant().directory.add(Account(**wanted)).public(), 201
    except Refused as refused:
        abort(409, str(refused))


@blueprint.patch("/accounts/<email>")
def change_account(email):
    account, wanted = found(email), checked_account(body())
    if wanted.pop("email", email) != email:
        abort(400, "The e-mail address cannot be changed.")
    for name, value in wanted.items():
        setattr(account, name, value)
    return account.public()


@blueprint.delete("/accounts/<email>")
def remove_account(email):
    found(email)
    tenant().directory.remove(email)
    return {}


@blueprint.post("/accounts/<email>/revoke")
def revoke(email):
    body()
    found(email).tokens_valid_from = tenant().clock.now()
    return {}


@blueprint.post("/redirect-uris")
def add_redirect_uri():
    redirect_uri = body("redirect_uri")["redirect_uri"]
    if redirect_uri not in tenant().registration.redirect_uris:
        tenant().registration.redirect_uris.append(redirect_uri)
    return {"redirect_uris": tenant().registration.redirect_uris}


def found(email):
    return tenant().directory.find(email) or abort(404, f"There is no account {email}.")


def checked_account(wanted):
    unfit = [name for name in wanted if name not in CHANGEABLE]
    if unfit:
        abort(400, f"An account has no {', '.join(unfit)}; it has {', '.join(sorted(CHANGEABLE))}.")
    return dict(wanted)
