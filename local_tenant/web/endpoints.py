"""The endpoints of a user flow that show no forms: metadata, keys, sign-out."""

from urllib.parse import urlsplit

from flask import Response, jsonify, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError

from ..authorities.b2c_errors import B2CError, error_description, form_encode
from ..model.steering import changed
from ..state import TenantState
from .exchange import current_exchange


def discovery() -> ResponseReturnValue:
    exchange = current_exchange()
    return jsonify(exchange.tenant.authority.metadata(exchange.address))


def keys() -> ResponseReturnValue:
    tenant = current_exchange().tenant
    return jsonify(tenant.keys.jwks(at_least=tenant.options.keys))


def logout() -> ResponseReturnValue:
    """End the tenant's session and go back to the app.

    B2C checks the return address only where it is set up to require an id_token_hint.
    """
    tenant = current_exchange().tenant
    return_address = request.args.get("post_logout_redirect_uri")
    if return_address and not _is_web_address(return_address):
        raise B2CError("AADB2C90067", return_address)
    if tenant.options.require_id_token_hint:
        _check_id_token_hint(tenant, return_address)
    response = _signed_out(return_address)
    # B2C keeps its session when the request does not say which app it comes from.
    if request.args.get("client_id") or request.args.get("id_token_hint"):
        tenant.sessions.end(request.cookies.get(tenant.cookie_name, ""))
        response.delete_cookie(tenant.cookie_name, httponly=True, samesite="Lax")
    return response


def _check_id_token_hint(tenant: TenantState, return_address: str | None) -> None:
    hint = request.args.get("id_token_hint")
    if hint is None:
        raise B2CError("AADB2C90272")
    try:
        audience = tenant.keys.verify(hint).get("aud")
    except (JoseError, ValueError) as error:
        raise B2CError("AADB2C90210") from error
    if audience != tenant.app.client_id:
        raise B2CError("AADB2C90210")
    if return_address and return_address not in tenant.app.redirect_uris:
        raise B2CError("AADB2C90006", return_address, tenant.app.client_id)


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return text.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname)


def _signed_out(return_address: str | None) -> Response:
    if not return_address:
        return make_response(render_template("signed_out.html"))
    state = request.args.get("state")
    parameters = changed({} if state is None else {"state": state}, current_exchange().fault)
    query = form_encode((name, str(value)) for name, value in parameters.items())
    mark = "&" if "?" in return_address else "?"
    return make_response(redirect(f"{return_address}{mark}{query}" if query else return_address))


def unknown_authority_page(tenant: TenantState) -> ResponseReturnValue:
    error = B2CError("AADB2C90066", current_exchange().policy, tenant.authority.guid)
    return error_page(tenant, error.text, 404)


def error_page(tenant: TenantState, text: str, status: int = 400) -> ResponseReturnValue:
    """The page for errors that cannot go back to the app."""
    lines = error_description(text, tenant.clock.now()).splitlines()
    return render_template("error.html", lines=lines), status
