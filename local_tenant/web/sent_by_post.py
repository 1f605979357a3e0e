"""Authorization and sign-out requests that an app sends by POST, with their parameters in the body.

Sources: OpenID Connect Core, section 3.1.2.1; OpenID Connect RP-Initiated Logout, section 2.
"""

from urllib.parse import urlencode

from flask import redirect, request
from flask.typing import ResponseReturnValue


def is_sent_by_app() -> bool:
    """Whether an app sends this POST, and not a form of the tenant's own pages.

    The forms of the tenant's pages keep the app's parameters in the query.
    """
    if request.method != "POST":
        return False
    if request.endpoint == "authorize":
        return "client_id" in request.form and "client_id" not in request.args
    return request.endpoint == "logout" and "account" not in request.form


def repeat_as_get() -> ResponseReturnValue:
    """Let the browser send the same request by GET.

    Then it sends the tenant's cookie, which is SameSite=Lax without https.
    """
    parameters = [*request.args.items(multi=True), *request.form.items(multi=True)]
    return redirect(f"{request.path}?{urlencode(parameters)}" if parameters else request.path, 303)
