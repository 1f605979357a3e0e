"""The authentication of apps at the token endpoint."""

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
    header = request.authorization
    if header and header.type == "basic":
        client_id, secret = header.username or "", header.password or ""
    else:
        client_id, secret = required(request.form, "client_id"), request.form.get("client_secret", "")
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


def required(form: MultiDict[str, str], name: str) -> str:
    """A parameter of the form. Raises Refused."""
    if not form.get(name):
        raise Refused(Reason.PARAMETER_MISSING, name=name)
    return form[name]
