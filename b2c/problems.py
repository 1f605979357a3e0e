"""What can go wrong between the app and the tenant, and what to tell whom."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Problem(Exception):
    """Something between the app and the tenant went wrong.

    `status` is the HTTP status of the page to show; `title` and `advice` are for the user, `operator` is for
    whoever runs the app; `again` says whether signing in again can help; `code` is B2C's (or OAuth's) error
    code; `reference` finds the case in both logs. The exception's own text is for the log only: it can hold
    what a stranger has sent.
    """

    status = 502
    title = "Signing in did not work"
    advice = "Please try again. If it keeps happening, tell the people who run this site the reference below."
    operator = ""
    again = True

    def __init__(self, reason: str, *, code: str = "", reference: str = "", retry_after: int = 0):
        super().__init__(reason)
        self.code = code
        self.reference = reference or str(uuid.uuid4())
        self.retry_after = retry_after


class Cancelled(Problem):
    """The user pressed Cancel: no fault at all."""

    status = 200


class PasswordForgotten(Problem):
    """The user followed "Forgot your password?", which leads on to the password reset user flow."""

    status = 400
    title = "Reset your password"
    advice = "This site has no page for resetting a password. Please ask the people who run it."
    operator = (
        "Set RESETPASSWORD_USER_FLOW, or switch on self-service password reset in the sign-in user flow."
    )


class AnswerRefused(Problem):
    """The authorization response does not fit the sign-in that this browser began."""

    status = 400
    advice = (
        "The answer from the sign-in page did not fit the sign-in that was started here. Please start again."
    )


class TokenRefused(Problem):
    """The tenant answered with an ID token that must not be believed."""

    advice = "The sign-in service sent an answer that could not be verified, so nobody was signed in."
    operator = (
        "The log says which check failed. Usual causes: this machine's clock, B2C_TENANT_ID, the user flow's "
        "issuer or token settings."
    )


class SignInRequired(Problem):
    """No token can be had without the user: expired, revoked, or never granted."""

    status = 401
    title = "Please sign in again"
    advice = "Your sign-in has run out. Nothing is lost: sign in again and carry on."


class TenantUnavailable(Problem):
    """The tenant did not answer in time, or not sensibly."""

    status = 503
    title = "The sign-in service does not answer"
    advice = "Please try again in a minute. If you are signed in already, you still are."
    operator = (
        "Look at the tenant's and the network's health; the log says what was asked and what came back."
    )


class SetupFault(Problem):
    """The app's settings and the tenant do not fit together; trying again cannot help."""

    title = "This site is not set up correctly"
    again = False
    advice = "You cannot do anything about it. Please tell the people who run this site the reference below."
    operator = "Compare the app's settings with the app registration and the user flows in the Azure portal."


class FlowLost(Problem):
    """No pending flow of this browser fits the response."""

    status = 400
    title = "This sign-in cannot be finished"
    advice = (
        "It was begun in another browser, has been finished already, or took more than half an hour; "
        "or this browser does not keep cookies. Please start again."
    )


class SignInLoop(Problem):
    """The user is sent to the tenant again and again and never arrives."""

    status = 400
    title = "Signing in does not take effect"
    advice = (
        "You were sent to the sign-in page several times in a row. Check that this browser keeps cookies, "
        "then sign in once more."
    )
    operator = (
        "Usual causes: browsers see another host or scheme than REDIRECT_URI's; refresh tokens are refused."
    )


class SessionEnded(Problem):
    """The session that a user flow belonged to has ended while the user was at the tenant."""

    status = 409
    title = "Your sign-in has ended in the meantime"
    advice = "It was ended or renewed in another tab. The home page shows whether you are signed in."


class OtherUser(Problem):
    """A profile edit or password reset came back for somebody else than the signed-in user."""

    status = 409
    again = False
    title = "That was another account"
    advice = "You are still signed in with the account from before. To use the other one, sign out first."


class StoreUnavailable(Problem):
    """The session store cannot be read or written."""

    status = 503
    title = "We cannot reach our sign-in records"
    advice = "Please try again in a minute."
    operator = (
        "The session store does not answer: check REDIS_URL, or the space and permissions of SESSION_DIR."
    )


@dataclass(frozen=True)
class Meaning:
    """What one error code means: the problem to raise, and words that fit better than its own."""

    problem: type[Problem]
    operator: str = ""
    advice: str = ""


# Microsoft Learn, "Error codes: Azure Active Directory B2C". {redirect_uri} and {scope} are filled in.
MEANINGS = {
    "AADB2C90118": Meaning(PasswordForgotten),
    "AADB2C90091": Meaning(Cancelled),
    "AADB2C90006": Meaning(
        SetupFault, "Register this redirect URI, exactly as it stands, as a Web redirect URI: {redirect_uri}"
    ),
    "AADB2C90007": Meaning(SetupFault, "The app registration has no redirect URI. Register: {redirect_uri}"),
    "AADB2C90008": Meaning(SetupFault, "CLIENT_ID did not arrive. Check it."),
    "AADB2C90018": Meaning(SetupFault, "CLIENT_ID is not an application of this tenant."),
    "AADB2C90068": Meaning(
        SetupFault, "The application was not registered in Azure AD B2C. Register it there."
    ),
    "AADB2C90079": Meaning(SetupFault, "CLIENT_SECRET did not arrive. Set it."),
    "AADB2C90081": Meaning(
        SetupFault, "CLIENT_SECRET is wrong or has expired. Create a new one in the portal."
    ),
    "AADB2C90084": Meaning(
        SetupFault, "{redirect_uri} is registered for a single-page or native app. Register it as Web."
    ),
    "AADB2C90092": Meaning(SetupFault, "The app registration is disabled."),
    "AADB2C90285": Meaning(SetupFault, "CLIENT_ID is not an application of this tenant."),
    "AADB2C90287": Meaning(SetupFault, "The redirect URI is not valid. Register: {redirect_uri}"),
    "AADB2C90012": Meaning(SetupFault, "SCOPE is not known to the tenant: {scope}"),
    "AADB2C90117": Meaning(
        SetupFault, "SCOPE is not known to the tenant. Copy it from the API's page: {scope}"
    ),
    "AADB2C90205": Meaning(
        SetupFault, "Give the app registration permission for {scope} and grant admin consent."
    ),
    "AADB2C90055": Meaning(SetupFault, "SCOPE names no API. It should be a full scope URI: {scope}"),
    "AADB2C90146": Meaning(SetupFault, "SCOPE names more than one API. One at a time: {scope}"),
    "AADB2C90057": Meaning(SetupFault, "The app registration does not allow this kind of sign-in."),
    "AADB2C90066": Meaning(SetupFault, "A user flow's name is wrong, or it does not exist in this tenant."),
    "AADB2C90088": Meaning(
        SignInRequired, "A token was redeemed at another user flow. Was SIGNUPSIGNIN_USER_FLOW changed?"
    ),
    "AADB2C90080": Meaning(SignInRequired),
    "AADB2C90128": Meaning(SignInRequired, advice="This account no longer exists. Sign in with another one."),
    "AADB2C90129": Meaning(SignInRequired),
    "AADB2C90077": Meaning(SignInRequired),
    "AADB2C90121": Meaning(SignInRequired),
    "AADB2C90085": Meaning(
        TenantUnavailable,
        "If it stays, the registration's supported account types are wrong: it must allow any identity "
        "provider or organizational directory.",
    ),
    "AADB2C90273": Meaning(
        Problem,
        advice="The other sign-in provider cancelled or refused. Sign in again or choose another way.",
    ),
    "AADB2C90119": Meaning(
        Problem, advice="There were too many wrong attempts. Wait a while before you try again."
    ),
    "AADB2C90114": Meaning(Problem, advice="This account is locked for a while. Please try again later."),
    "AADB2C90229": Meaning(TenantUnavailable, "The tenant throttles this app or its address."),
    "AADB2C90244": Meaning(TenantUnavailable, "The tenant throttles this app or its address."),
    "AADB2C99059": Meaning(
        SetupFault, "{redirect_uri} is registered for a single-page app. Register it as Web."
    ),
}

# RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6: for want of a known AADB2C code.
OAUTH_MEANINGS = {
    "access_denied": Meaning(Cancelled),
    "redirect_uri_mismatch": MEANINGS["AADB2C90006"],
    "invalid_client": MEANINGS["AADB2C90081"],
    "unauthorized_client": MEANINGS["AADB2C90057"],
    "invalid_scope": MEANINGS["AADB2C90117"],
    "invalid_request": Meaning(SetupFault),
    "unsupported_response_type": Meaning(SetupFault),
    "unsupported_grant_type": Meaning(SetupFault),
    "invalid_grant": Meaning(SignInRequired),
    "interaction_required": Meaning(SignInRequired),
    "login_required": Meaning(SignInRequired),
    "server_error": Meaning(TenantUnavailable),
    "temporarily_unavailable": Meaning(TenantUnavailable),
}


def from_answer(answer: Mapping[str, Any], *, redirect_uri: str, scope: str) -> Problem:
    """The Problem for an OAuth error response, by its AADB2C code, or else by its `error`.

    `redirect_uri` and `scope` are the app's own, for what the operator is told.
    """
    oauth_error, description = str(answer.get("error")), str(answer.get("error_description") or "")
    found = re.match(r"(AADB2C\d{5}): ", description)
    code = found[1] if found else ""
    if code and oauth_error == "access_denied":  # with a code that we do not know it is no mere cancelling
        oauth_error = ""
    meaning = MEANINGS.get(code) or OAUTH_MEANINGS.get(oauth_error, Meaning(Problem))
    correlation = re.search(r"Correlation ID: ([0-9a-fA-F-]{36})\b", description)
    problem = meaning.problem(
        f"{oauth_error}: {description}", code=code, reference=correlation[1] if correlation else ""
    )
    problem.advice = meaning.advice or problem.advice
    problem.operator = (meaning.operator or problem.operator).format(redirect_uri=redirect_uri, scope=scope)
    return problem


def short(error: BaseException) -> str:
    """One line for the log: MSAL and requests put whole tokens and URLs into their messages."""
    cause = getattr(error.args[0], "reason", None) if error.args else None  # what urllib3 wraps
    return f"{type(error).__name__}: {str(cause or error)[:200]!r}"
