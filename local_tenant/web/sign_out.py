"""Sign-out: B2C's, which never asks, and that of the kinds with an account picker."""

from urllib.parse import urlencode, urlsplit

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError

from ..authorities.base import Reason, Refused
from ..authorities.microsoft import Microsoft
from ..model.grants import Session
from ..model.steering import changed
from ..state import TenantState
from .exchange import cookie_attributes, current_exchange
from .form_encoding import form_encode


def logout() -> ResponseReturnValue:
    """End the tenant's session and go back to the app."""
    tenant = current_exchange().tenant
    if isinstance(tenant.authority, Microsoft):
        return _microsoft_logout(tenant, tenant.authority)
    return _b2c_logout(tenant)


# --- Azure AD B2C


def _b2c_logout(tenant: TenantState) -> Response:
    """B2C checks the return address only where it is set up to require an id_token_hint."""
    return_address = request.args.get("post_logout_redirect_uri")
    if return_address and not _is_web_address(return_address):
        raise Refused(Reason.RETURN_ADDRESS_MALFORMED, uri=return_address)
    if tenant.options.require_id_token_hint:
        _check_id_token_hint(tenant, return_address)
    response = _back_to_app(return_address)
    # B2C keeps its session when the request does not say which app it comes from.
    if request.args.get("client_id") or request.args.get("id_token_hint"):
        _end_session(tenant, response)
    return response


def _check_id_token_hint(tenant: TenantState, return_address: str | None) -> None:
    hint = request.args.get("id_token_hint")
    if hint is None:
        raise Refused(Reason.HINT_MISSING)
    try:
        audience = tenant.keys.verify(hint).get("aud")
    except (JoseError, ValueError) as error:
        raise Refused(Reason.HINT_INVALID) from error
    if audience != tenant.app.client_id:
        raise Refused(Reason.HINT_INVALID)
    if return_address and return_address not in tenant.app.redirect_uris:
        raise Refused(
            Reason.REDIRECT_URI_UNREGISTERED, redirect_uri=return_address, client_id=tenant.app.client_id
        )


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return text.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname)


# --- Entra ID and External ID


def _microsoft_logout(tenant: TenantState, authority: Microsoft) -> ResponseReturnValue:
    """Without the `logout_hint` of the person who is signed in, ask which account to sign out.

    The browser goes back only to a registered redirect URI.
    """
    address = request.values.get("post_logout_redirect_uri", "")
    return_address = address if address in tenant.app.redirect_uris else None
    session = tenant.sessions.find(request.cookies.get(tenant.cookie_name, ""))
    if not session:
        return _back_to_app(return_address)
    claims = authority.account_claims(session.account, session, new_user=False)
    hint = request.values.get("logout_hint")
    if hint != authority.login_hint(claims) and "account" not in request.form:
        return render_template("pick_account.html", title="Sign out", session=session)
    if tenant.app.logout_url and session.signed_in_to_app:
        response = _tell_app(tenant, session, str(claims["tid"]), authority, return_address)
    else:
        response = _back_to_app(return_address)
    _end_session(tenant, response)
    return response


def _tell_app(
    tenant: TenantState, session: Session, tenant_id: str, authority: Microsoft, return_address: str | None
) -> Response:
    """A page with the app's logout URL in a frame (OpenID Connect Front-Channel Logout section 2)."""
    parameters = urlencode({"sid": session.sid, "iss": authority.issuer(tenant_id)})
    mark = "&" if "?" in tenant.app.logout_url else "?"
    frame = f"{tenant.app.logout_url}{mark}{parameters}"
    response = make_response(
        render_template("signed_out.html", frame=frame, return_address=_with_state(return_address))
    )
    parts = urlsplit(tenant.app.logout_url)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; frame-src {parts.scheme}://{parts.netloc}"
    )
    return response


# --- What both do


def _end_session(tenant: TenantState, response: Response) -> None:
    tenant.sessions.end(request.cookies.get(tenant.cookie_name, ""))
    response.delete_cookie(tenant.cookie_name, **cookie_attributes())


def _back_to_app(return_address: str | None) -> Response:
    if not return_address:
        return make_response(render_template("signed_out.html"))
    return make_response(redirect(_with_state(return_address)))


def _with_state(return_address: str | None) -> str:
    state = request.values.get("state")
    parameters = changed({} if state is None else {"state": state}, current_exchange().fault)
    query = form_encode((name, str(value)) for name, value in parameters.items())
    mark = "&" if "?" in (return_address or "") else "?"
    return f"{return_address or ''}{mark}{query}" if query else return_address or ""
