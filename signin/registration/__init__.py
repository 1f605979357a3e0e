"""Registers the web app through Microsoft Graph: what `flask register` and `flask unregister` do.

As a library call, without Flask and without any settings:

    operator = sign_in("contoso.onmicrosoft.com", wanted.graph_permissions, graph_url=GRAPH_URL)
    graph = Graph(operator.access_token)
    plan = plan_registration(wanted, look(graph, wanted))
    carry_out(graph, plan, save=keep_the_secret)
"""

from .directory import TAG, Found, federated_credentials, look, named_by
from .errors import (
    DeletedNamesake,
    EnvFileUnusable,
    GraphRefused,
    GraphUnavailable,
    NameTaken,
    PermissionMissing,
    RegistrationError,
    SignInFailed,
    UserFlowUnknown,
    WrongTenant,
)
from .graph import GRAPH_URL, Graph
from .plan import Plan, Step, plan_registration, plan_removal
from .registrar import carry_out
from .sign_in import LOGIN_URL, Operator, sign_in
from .wanted import DEFAULT_API_SCOPES, DEFAULT_NAME, Wanted

__all__ = [
    "DEFAULT_API_SCOPES",
    "DEFAULT_NAME",
    "GRAPH_URL",
    "LOGIN_URL",
    "TAG",
    "DeletedNamesake",
    "EnvFileUnusable",
    "Found",
    "Graph",
    "GraphRefused",
    "GraphUnavailable",
    "NameTaken",
    "Operator",
    "PermissionMissing",
    "Plan",
    "RegistrationError",
    "SignInFailed",
    "Step",
    "UserFlowUnknown",
    "Wanted",
    "WrongTenant",
    "carry_out",
    "federated_credentials",
    "look",
    "named_by",
    "plan_registration",
    "plan_removal",
    "sign_in",
]
