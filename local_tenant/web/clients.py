"""The authentication of apps at the token endpoint."""

from urllib.parse import unquote_plus

from flask import request
from werkzeug.datastructures import MultiDict

from ..authorities.refusals import Reason, Refused
from ..model.registrations import AppRegistration
from ..state import TenantState


def authenticated_client(tenant: TenantState) -> AppRegistration:
    """The app that sends the request. Raises Refused.

    Client ID and secret are in the form or in the header of HTTP Basic authentication. A public client has
    no secret.
    """
    client_id, secret = _credentials(tenant)
    app = tenant.apps.find(client_id)
    if not app:
        raise Refused(Reason.CLIENT_UNKNOWN, client_id=client_id, tenant=tenant.authority.guid)
    tenant.authority.check_origin(app, request.headers.get("Origin"))
    if app.is_public:
        if secret:
            raise Refused(Reason.SECRET_OF_PUBLIC_CLIENT)
        return app
    if not secret:
        raise Refused(Reason.SECRET_MISSING)
    if not app.has_secret(secret):
        raise Refused(Reason.SECRET_WRONG)
    return app


def _credentials(tenant: TenantState) -> tuple[str, str]:
    """Client ID and secret. Raises Refused without a client ID.

    HTTP Basic authentication encodes both as in a form (RFC 6749, section 2.3.1). Not all clients do that.
    """
    header = request.authorization
    if not header or header.type != "basic":
        return required(request.form, "client_id"), request.form.get("client_secret", "")
    client_id, secret = header.username or "", header.password or ""
    app = tenant.apps.find(client_id)
    if app and app.has_secret(secret):
        return client_id, secret
    return unquote_plus(client_id), unquote_plus(secret)


def required(form: MultiDict[str, str], name: str) -> str:
    """A parameter of the form. Raises Refused."""
    if not form.get(name):
        raise Refused(Reason.PARAMETER_MISSING, name=name)
    return form[name]
