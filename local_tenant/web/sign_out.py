"""Sign-out: B2C's, which never asks, and that of the kinds with an account picker."""

from urllib.parse import urlencode, urlsplit

from flask import Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError

from ..authorities.microsoft import Microsoft
from ..authorities.refusals import Reason, Refused
from ..model.redirect_uris import WEB_SCHEMES, split_address
from ..model.steering import changed
from ..state import TenantState
from .exchange import current_exchange
from .form_encoding import form_encode
from .sessions import end_session, find_session


def logout() -> ResponseReturnValue:
    """End the tenant's session and go back to the app."""
    tenant = current_exchange().tenant
    if isinstance(tenant.authority, Microsoft):
        return _microsoft_logout(tenant, tenant.authority)
    return _b2c_logout(tenant)


# --- Azure AD B2C


def _b2c_logout(tenant: TenantState) -> Response:
    """B2C checks the return address only where it is set up to require an id_token_hint.

    The hint is looked at only there, and where the session is one app's.
    """
    user_flow = current_exchange().user_flow
    return_address = request.args.get("post_logout_redirect_uri")
    if return_address and not _is_web_address(return_address):
        raise Refused(Reason.RETURN_ADDRESS_MALFORMED, uri=return_address)
    if user_flow.require_id_token_hint or tenant.options.require_id_token_hint:
        _check_id_token_hint(tenant, return_address)
    response = _back_to_app(return_address)
    client_id = _named_client(tenant) or _audience_of_hint(tenant)
    # Without its client ID, an app's session cannot be told from those of others. B2C keeps it.
    if client_id or user_flow.single_sign_on != "application":
        end_session(tenant, user_flow, client_id, response)
    return response


def _check_id_token_hint(tenant: TenantState, return_address: str | None) -> None:
    if "id_token_hint" not in request.args:
        raise Refused(Reason.HINT_MISSING)
    app = tenant.apps.find(_audience_of_hint(tenant))
    if not app:
        raise Refused(Reason.HINT_INVALID)
    if return_address and not app.accepts(return_address):
        raise Refused(Reason.REDIRECT_URI_UNREGISTERED, redirect_uri=return_address, client_id=app.client_id)


def _named_client(tenant: TenantState) -> str:
    """The client ID of the app that the request names. "" if it names none that is registered."""
    app = tenant.apps.find(request.values.get("client_id", ""))
    return app.client_id if app else ""


def _audience_of_hint(tenant: TenantState) -> str:
    """The client ID in the request's id_token_hint, which may have expired. "" if no hint is valid."""
    try:
        return str(tenant.keys.verify(request.args.get("id_token_hint", "")).get("aud"))
    except (JoseError, ValueError):
        return ""


def _is_web_address(text: str) -> bool:
    parts = split_address(text)
    return bool(text.isprintable() and parts and parts.scheme in WEB_SCHEMES and parts.hostname)


# --- Entra ID and External ID


def _microsoft_logout(tenant: TenantState, authority: Microsoft) -> ResponseReturnValue:
    """Without the `logout_hint` of the person who is signed in, ask which account to sign out.

    The browser goes back only to a registered redirect URI.
    """
    address = request.values.get("post_logout_redirect_uri", "")
    return_address = address if any(app.accepts(address) for app in tenant.apps) else None
    user_flow, client_id = current_exchange().user_flow, _named_client(tenant)
    session = find_session(tenant, user_flow, client_id)
    if not session:
        return _back_to_app(return_address)
    claims = authority.account_claims(session.account, session, new_user=False)
    hint = request.values.get("logout_hint")
    if hint != authority.login_hint(claims) and "account" not in request.form:
        return render_template("pick_account.html", title="Sign out", session=session)
    logout_urls = [app.logout_url for app in tenant.apps if app.client_id in session.client_ids]
    if any(logout_urls):
        parameters = urlencode({"sid": session.sid, "iss": authority.issuer(str(claims["tid"]))})
        response = _tell_apps([url for url in logout_urls if url], parameters, return_address)
    else:
        response = _back_to_app(return_address)
    end_session(tenant, user_flow, client_id, response)
    return response


def _tell_apps(logout_urls: list[str], parameters: str, return_address: str | None) -> Response:
    """A page with the apps' logout URLs in frames (OpenID Connect Front-Channel Logout section 2)."""
    frames = [f"{url}{'&' if '?' in url else '?'}{parameters}" for url in logout_urls]
    response = make_response(
        render_template("signed_out.html", frames=frames, return_address=_with_state(return_address))
    )
    parts = [urlsplit(url) for url in logout_urls]
    origins = " ".join(sorted({f"{part.scheme}://{part.netloc}" for part in parts}))
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; frame-src {origins}"
    )
    return response


# --- What both do


def _back_to_app(return_address: str | None) -> Response:
    if not return_address:
        return make_response(render_template("signed_out.html"))
    return make_response(redirect(_with_state(return_address)))


def _with_state(return_address: str | None) -> str:
    state = request.values.get("state")
    parameters = changed({} if state is None else {"state": state}, current_exchange().fault)
    query = form_encode((name, str(value)) for name, value in parameters.items())
    address, fragment_mark, fragment = (return_address or "").partition("#")
    mark = "&" if "?" in address else "?"
    return f"{address}{mark}{query}{fragment_mark}{fragment}" if query else return_address or ""
