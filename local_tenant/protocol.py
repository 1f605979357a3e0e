"""The endpoints that machines talk to, and the checks of an authorization request."""

from urllib.parse import urlsplit

from flask import current_app, g, jsonify, make_response, redirect, render_template, request
from joserfc.errors import JoseError

from .address import add_route
from .current import cookie_name, tenant
from .errors import B2CError, describe, encode
from .faults import changed
from .redirects import go_back, with_state
from .scopes import granted

RESPONSE_TYPES = [
    "code",
    "code id_token",
    "code token",
    "code id_token token",
    "id_token",
    "id_token token",
    "token",
    "token id_token",
]
RESPONSE_MODES = ["query", "fragment", "form_post"]
PROMPTS = {"none", "login", "consent", "select_account"}


def add_endpoints(app):
    add_route(app, "v2.0/.well-known/openid-configuration", discovery)
    add_route(app, "discovery/v2.0/keys", keys)
    add_route(app, "oauth2/v2.0/token", token, ["GET", "POST"])
    add_route(app, "oauth2/v2.0/logout", logout)


def discovery():
    url, here = g.address.url, tenant()
    return jsonify(
        issuer=here.issuer(g.user_flow),
        authorization_endpoint=url(here.url, "oauth2/v2.0/authorize"),
        token_endpoint=url(here.tls_url, "oauth2/v2.0/token"),
        end_session_endpoint=url(here.url, "oauth2/v2.0/logout"),
        jwks_uri=url(here.tls_url, "discovery/v2.0/keys"),
        response_modes_supported=RESPONSE_MODES,
        response_types_supported=RESPONSE_TYPES,
        scopes_supported=["openid"],
        subject_types_supported=["pairwise"],
        id_token_signing_alg_values_supported=["RS256"],
        token_endpoint_auth_methods_supported=["client_secret_post", "client_secret_basic"],
        claims_supported=[
            *("name", "given_name", "family_name", "city", "emails", "oid", "sub", "newUser", "tfp"),
            *("iss", "iat", "exp", "aud", "acr", "nonce", "auth_time"),
        ],
    )


def keys():
    here = tenant()
    here.keys.list_at_least(here.options.keys)
    return jsonify(here.keys.jwks())


def token():
    server = current_app.extensions["authorization_server"]
    if request.method != "POST":
        return server.handle_error_response(None, B2CError("AADB2C90226"))
    if not request.form.get("grant_type"):
        return server.handle_error_response(None, B2CError("AADB2C90083", "grant_type"))
    return server.create_token_response()


def check_authorization_request():
    """Raises the B2CError that B2C answers a wrong authorization request with; returns the prompt values."""
    args, here = request.args, tenant()
    redirect_uri = _checked_redirect_uri(args, here)

    def refuse(code, *values):
        raise B2CError(code, *values, redirect_uri=redirect_uri)

    if args.get("response_type") not in RESPONSE_TYPES:
        refuse("AADB2C90013", args.get("response_type", ""))
    if args["response_type"] != "code":
        refuse("AADB2C90057")
    if args.get("response_mode", "query") not in RESPONSE_MODES:
        refuse("AADB2C90014", args["response_mode"])
    if not args.get("scope", "").strip():
        refuse("AADB2C90010")
    granted(here, args["scope"], redirect_uri)
    prompts = args.get("prompt", "").split()
    if set(prompts) - PROMPTS or ("none" in prompts and len(prompts) > 1):
        refuse("AADB2C90043")
    return prompts


def _checked_redirect_uri(args, here):
    client_id, redirect_uri = args.get("client_id"), args.get("redirect_uri")
    if not client_id:
        raise B2CError("AADB2C90008")
    if not here.query_client(client_id):
        raise B2CError("AADB2C90018", client_id, here.guid)
    if not redirect_uri:
        raise B2CError("AADB2C90004")
    if not here.registration.check_redirect_uri(redirect_uri):
        onto_page = here.options.unregistered_redirect == "page"
        # B2C has been seen to send this very error to a registered address.
        first = None if onto_page else here.registration.redirect_uris[0]
        raise B2CError("AADB2C90006", redirect_uri, client_id, redirect_uri=first)
    return redirect_uri


def refuse_authorization(error, text):
    """An error of the authorize endpoint: back to the app if it has a safe address, else onto a page."""
    if not error.redirect_uri:
        return error_page(text)
    params = [("error", error.error), ("error_description", describe(text, tenant().clock.now()))]
    return go_back(error.redirect_uri, with_state(params))


def error_page(text, status=400):
    lines = describe(text, tenant().clock.now()).split("\r\n")
    return render_template("error.html", lines=lines[:3]), status


def logout():
    """End the tenant's session; B2C checks the return address only if it demands an id_token_hint."""
    here, args = tenant(), request.args
    target = args.get("post_logout_redirect_uri")
    if target and not _is_address(target):
        return error_page(B2CError("AADB2C90067", target).text)
    if here.options.require_id_token_hint:
        if "id_token_hint" not in args:
            return error_page(B2CError("AADB2C90272").text)
        if not _ours(args["id_token_hint"]):
            return error_page(B2CError("AADB2C90210").text)
        if target and not here.registration.check_redirect_uri(target):
            return error_page(B2CError("AADB2C90006", target, here.registration.client_id).text)
    response = _signed_out(target)
    # B2C lets the session live on when the request does not say which app it is from.
    if args.get("client_id") or args.get("id_token_hint"):
        here.sessions.pop(request.cookies.get(cookie_name()), None)
        response.delete_cookie(cookie_name(), httponly=True, samesite="Lax")
    return response


def _is_address(target):
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return target.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname)


def _signed_out(target):
    if not target:
        return make_response(render_template("signed_out.html"))
    members = changed(dict(with_state([])), g.get("fault", {}))
    params = [(name, str(value)) for name, value in members.items()]
    mark = "&" if "?" in target else "?"
    return redirect(f"{target}{mark}{encode(params)}" if params else target)


def _ours(id_token):
    try:
        claims = tenant().keys.verify(id_token)
    except (JoseError, ValueError):
        return False
    return claims.get("aud") == tenant().registration.client_id
