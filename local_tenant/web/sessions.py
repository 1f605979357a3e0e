"""The cookies of sessions at the tenant. A user flow says how far its sessions reach.

Source: Microsoft Learn, "Configure session behavior in Azure Active Directory B2C".
"""

from flask import Response, request

from ..model.grants import Session
from ..model.registrations import UserFlow
from ..state import TenantState
from .exchange import cookie_attributes


def find_session(tenant: TenantState, user_flow: UserFlow, client_id: str) -> Session | None:
    """The session of the person who sends the request."""
    # Without single sign-on, a session lasts only from one step of the user flow to the next.
    if user_flow.single_sign_on == "disabled" and "step" not in request.args:
        return None
    return tenant.sessions.find(request.cookies.get(_cookie_name(tenant, user_flow, client_id), ""))


def remember_session(
    tenant: TenantState, user_flow: UserFlow, client_id: str, response: Response, session_id: str
) -> None:
    response.set_cookie(_cookie_name(tenant, user_flow, client_id), session_id, **cookie_attributes())


def end_session(tenant: TenantState, user_flow: UserFlow, client_id: str, response: Response) -> None:
    name = _cookie_name(tenant, user_flow, client_id)
    tenant.sessions.end(request.cookies.get(name, ""))
    response.delete_cookie(name, **cookie_attributes())


def _cookie_name(tenant: TenantState, user_flow: UserFlow, client_id: str) -> str:
    if user_flow.single_sign_on == "tenant":
        return tenant.cookie_name
    reach = client_id if user_flow.single_sign_on == "application" else user_flow.name.lower()
    return f"{tenant.cookie_name}_{reach}"
