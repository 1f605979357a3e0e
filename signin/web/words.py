"""The words that people read when something happens: notices, failures of a sign-in, failures of a web API.

Each failure has words for the user, and words for the operator: the people who run the site.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from app_config import Settings
from signin import oidc
from signin.sessions import SessionEnded, StoreError

from . import exceptions


@dataclass(frozen=True)
class Notice:
    """One line at the top of a page. `good` is for things that have been done."""

    text: str
    good: bool = True
    offers_sessions: bool = False  # whether a link to the user's sessions follows


NOTICES = {
    "signed_in": Notice("You are signed in."),
    "signed_in_already": Notice("You are already signed in.", good=False),
    "profile_updated": Notice("Your profile has been updated."),
    "profile_unchanged": Notice("Nothing has changed.", good=False),
    "password_changed": Notice(
        "Your password has been changed, and you are signed in. Does somebody else know the old one?",
        offers_sessions=True,
    ),
    "welcome": Notice("Your account has been created, and you are signed in."),
    "session_ended": Notice("That session has ended."),
    "session_gone": Notice("That session had ended already.", good=False),
    "other_sessions_ended": Notice("All your other sessions have ended."),
    "task_added": Notice("The task has been added."),
    "form_not_sent": Notice(
        "You are signed in. Your form was not sent, because your sign-in had ended. Please send it again.",
        good=False,
    ),
    "cancelled": Notice("Cancelled. Nothing has changed.", good=False),
    "signed_out": Notice("You are signed out."),
    "signed_out_here": Notice(
        "You are signed out here. The sign-in service did not answer, so close the browser too.", good=False
    ),
    "signed_out_others_left": Notice(
        "You are signed out in this browser. Your other sessions could not all be ended. "
        "To end them, sign in again and open My sessions.",
        good=False,
    ),
    "signed_out_record_left": Notice(
        "You are signed out in this browser. Your session's record could not be deleted. "
        "It expires by itself.",
        good=False,
    ),
}


TRY_AGAIN = "Please try again. If it keeps happening, tell the people who run this site the reference below."
ASK_THE_SITE = "You cannot fix this. Please tell the people who run this site the reference below."


@dataclass(frozen=True)
class Words:
    """What to say about a failure.

    `status` is the HTTP status of the page. `sign_in_again` says whether signing in again can help, and
    `other_account` whether that has to be with another account.
    """

    status: int = 502
    title: str = "Signing in did not work"
    advice: str = TRY_AGAIN
    operator: str = ""
    sign_in_again: bool = True
    other_account: bool = False


_NOT_SET_UP = Words(
    title="This site is not set up correctly",
    advice=ASK_THE_SITE,
    operator="Compare the app's settings with the app registration.",
    sign_in_again=False,
)
_STORE = Words(
    503,
    "We cannot reach our sign-in records",
    "Please try again in a minute.",
    "The session store does not answer. Check REDIS_URL, or the free space and permissions of SESSION_DIR.",
)

# The words for an exception are those of its class, or of the nearest parent class that is listed.
WORDS: Mapping[type[Exception], Words] = {
    oidc.OidcError: Words(),
    oidc.PasswordForgotten: Words(
        400,
        "Reset your password",
        "This site has no page for resetting a password. Please ask the people who run it.",
        "Set RESETPASSWORD_USER_FLOW, or enable self-service password reset in the sign-in user flow.",
    ),
    oidc.ResponseRefused: Words(
        400,
        advice="The response of the sign-in service does not belong to the sign-in that was started here. "
        "Please start again.",
    ),
    oidc.TokenRefused: Words(
        advice="The response of the sign-in service could not be verified, so you were not signed in.",
        operator="The log says which check failed. Usual causes: this machine's clock, the tenant in the "
        "settings, or the token settings of the user flow.",
    ),
    oidc.SignInRequired: Words(
        401, "Please sign in again", "Your sign-in has expired. Sign in again to continue where you were."
    ),
    oidc.AccessBlocked: Words(
        403,
        "This account cannot sign in here",
        "Sign in with another account, or ask the people who run this site for access.",
        "The code says why the provider refuses this account.",
        other_account=True,
    ),
    oidc.TenantNotAllowed: Words(
        403,
        "This account cannot sign in here",
        "Sign in with another account, or ask the people who run this site for access.",
        "ALLOWED_TENANTS does not list the account's tenant. The log names the tenant.",
        other_account=True,
    ),
    oidc.ProviderUnavailable: Words(
        503,
        "The sign-in service does not answer",
        "Please try again in a minute. If you are already signed in, you still are.",
        "Check the provider's status and the network. The log says what was requested and what came back.",
    ),
    oidc.NameNotResolved: Words(
        503,
        "The sign-in service does not answer",
        "Please try again in a minute. If you are already signed in, you still are.",
        "The provider's host name does not resolve. Is the tenant's name misspelt?",
    ),
    oidc.Overloaded: Words(
        503,
        "The sign-in service is slow",
        "Too many people are waiting for it. Please try again in a moment.",
        "All slots for calls to the provider are taken. Usually the provider answers slowly.",
    ),
    oidc.SetupFault: _NOT_SET_UP,
    oidc.MetadataNotFound: replace(
        _NOT_SET_UP,
        operator="The provider has no metadata at this address. Check {authority}.",
    ),
    oidc.WrongTenant: replace(
        _NOT_SET_UP,
        operator="The provider's metadata is for another tenant than the settings name. Check AUTHORITY "
        "or, with Azure AD B2C, B2C_TENANT_ID.",
    ),
    exceptions.FlowLost: Words(
        400,
        "This sign-in cannot be completed",
        "It was started in another browser, has already been completed, or took more than half an hour. "
        "Or this browser does not keep cookies. Please start again.",
    ),
    exceptions.SignInLoop: Words(
        400,
        "Signing in has no effect",
        "You were sent to the sign-in service several times in a row. Check that this browser keeps cookies, "
        "then sign in once more.",
        "Usual causes: browsers use another host or scheme than that of REDIRECT_URI, or the provider "
        "refuses the refresh tokens.",
    ),
    exceptions.InteractionFailed: Words(
        403,
        "The sign-in service does not allow this",
        "The sign-in service still asks for more after you signed in again. Ask the people who run this site "
        "for access.",
        "A consent or a Conditional Access policy is not satisfied. The provider's sign-in log says which.",
        sign_in_again=False,
    ),
    exceptions.AccountMismatch: Words(
        409,
        "That was another account",
        "You are still signed in with your previous account. To use the other account, sign out first.",
        sign_in_again=False,
    ),
    exceptions.RoleMissing: Words(
        403,
        "You do not have access to this page",
        "Your account lacks the role that it requires. If you have just been given the role, sign out and "
        "sign in again. Otherwise ask the people who run this site.",
        "The log names the role, and ROLES_CLAIM the claim that roles are read from. The page with "
        "token details shows what the ID token holds.",
        sign_in_again=False,
    ),
    exceptions.SentFromElsewhere: Words(
        403,
        "This was not sent from a page of this site",
        "Nothing has been changed. Open the page here, and send the form again.",
        "The request names another origin than REDIRECT_URI does.",
        sign_in_again=False,
    ),
    exceptions.ProfileUnavailable: Words(
        502,
        "Your profile cannot be edited at the moment",
        "Please try again in a minute. If it keeps happening, tell the people who run this site.",
        "The log says what Microsoft Graph answered. After a 403, give the app registration the permission "
        "in PROFILE_SCOPE. After no answer, check GRAPH_URL and the network.",
        sign_in_again=False,
    ),
    exceptions.Misdirected: Words(
        421,
        "This is not the site's own address",
        operator="REDIRECT_URI names the app's host. A proxy in front must pass on the browser's Host.",
        sign_in_again=False,
    ),
    exceptions.OtherPort: Words(421, "This site is on another port", sign_in_again=False),
    exceptions.NotAVisit: Words(
        400,
        "Open this address in a browser window",
        "It cannot be embedded or loaded by a script.",
        sign_in_again=False,
    ),
    exceptions.CookiesTooLarge: Words(
        431,
        "This browser sends too many cookies",
        "This site has removed its own, so you are signed out here. If it happens again, delete the cookies "
        "of this site's domain.",
        "Other sites on the same domain set cookies for all of it.",
        sign_in_again=False,
    ),
    exceptions.HeaderTooLarge: Words(
        431,
        "This request is too large",
        "Your browser or a program on the way sends a header that is too long.",
        sign_in_again=False,
    ),
    exceptions.TooBusy: Words(
        503, "Too many requests at once", "Please wait a moment, then try again.", sign_in_again=False
    ),
    SessionEnded: Words(
        409,
        "Your sign-in has ended in the meantime",
        "Your session ended while you were signing in, here or in another browser. Sign in again.",
    ),
    StoreError: _STORE,
}


@dataclass(frozen=True)
class CodeWords:
    """Words for one error code of a provider. They replace those of the exception."""

    operator: str = ""
    advice: str = ""


# Microsoft Learn, "Error codes: Azure Active Directory B2C". {redirect_uri} and {scope} are the app's own.
B2C_CODES = {
    "AADB2C90006": CodeWords(
        "Register this redirect URI, exactly as it is here, as a Web redirect URI: {redirect_uri}"
    ),
    "AADB2C90007": CodeWords("The app registration has no redirect URI. Register: {redirect_uri}"),
    "AADB2C90008": CodeWords("The request had no client ID. Check CLIENT_ID."),
    "AADB2C90018": CodeWords("CLIENT_ID is not an application of this tenant."),
    "AADB2C90068": CodeWords("The application was not registered in Azure AD B2C. Register it there."),
    "AADB2C90079": CodeWords("The request had no client secret. Set CLIENT_SECRET."),
    "AADB2C90081": CodeWords("CLIENT_SECRET is wrong or has expired. Create a new one in the portal."),
    "AADB2C90084": CodeWords(
        "{redirect_uri} is registered for a single-page or native app. Register it as Web."
    ),
    "AADB2C90092": CodeWords("The app registration is disabled."),
    "AADB2C90285": CodeWords("CLIENT_ID is not an application of this tenant."),
    "AADB2C90287": CodeWords("The redirect URI is not valid. Register: {redirect_uri}"),
    "AADB2C90012": CodeWords("The tenant does not know SCOPE: {scope}"),
    "AADB2C90117": CodeWords("The tenant does not know SCOPE. Copy it from the API's registration: {scope}"),
    "AADB2C90205": CodeWords("Give the app registration permission for {scope}, and grant admin consent."),
    "AADB2C90055": CodeWords("SCOPE names no API. It should be a full scope URI: {scope}"),
    "AADB2C90146": CodeWords("SCOPE names more than one API. An access token is for one API: {scope}"),
    "AADB2C90057": CodeWords("The app registration does not allow this kind of sign-in."),
    "AADB2C90066": CodeWords("A user flow's name is wrong, or the tenant has no such user flow."),
    "AADB2C90088": CodeWords(
        "A refresh token was redeemed at another user flow. Was SIGNUPSIGNIN_USER_FLOW changed?"
    ),
    "AADB2C90128": CodeWords(advice="This account no longer exists. Sign in with another one."),
    "AADB2C90085": CodeWords(
        "If this continues, the registration's supported account types are wrong. They must allow any "
        "identity provider or organizational directory."
    ),
    "AADB2C90273": CodeWords(
        advice="The other sign-in provider cancelled or refused. Sign in again, or choose another way."
    ),
    "AADB2C90119": CodeWords(advice="There were too many wrong attempts. Wait a while, then try again."),
    "AADB2C90114": CodeWords(advice="This account is temporarily locked. Please try again later."),
    "AADB2C90229": CodeWords("The tenant throttles this app or its address."),
    "AADB2C90244": CodeWords("The tenant throttles this app or its address."),
    "AADB2C99059": CodeWords("{redirect_uri} is registered for a single-page app. Register it as Web."),
}

# Microsoft Learn, "Microsoft Entra authentication and authorization error codes".
ENTRA_CODES = {
    "AADSTS50011": CodeWords(
        "Register this redirect URI, exactly as it is here, as a Web redirect URI: {redirect_uri}"
    ),
    "AADSTS900971": CodeWords("The app registration has no redirect URI. Register: {redirect_uri}"),
    "AADSTS700016": CodeWords(
        "CLIENT_ID is not an application of this tenant. Check CLIENT_ID and AUTHORITY."
    ),
    "AADSTS90002": CodeWords("The tenant in AUTHORITY does not exist, or it is in another national cloud."),
    "AADSTS500208": CodeWords(
        "The tenant does not accept this type of account. For External ID, AUTHORITY must be on "
        "ciamlogin.com or your own domain."
    ),
    "AADSTS50194": CodeWords(
        "The app registration is for one tenant. Set AUTHORITY to https://login.microsoftonline.com/TENANT_ID."
    ),
    "AADSTS50020": CodeWords(
        "The account is not in this tenant. Invite it, or let the user sign in with another account."
    ),
    "AADSTS16000": CodeWords(
        "The account is not in this tenant. Invite it, or let the user sign in with another account."
    ),
    "AADSTS500571": CodeWords("The guest account is disabled.", "This account is disabled."),
    "AADSTS50057": CodeWords("The account is disabled.", "This account is disabled."),
    "AADSTS50105": CodeWords("Assign the user to the application under Enterprise applications."),
    "AADSTS65001": CodeWords("Consent to {scope} is missing. Grant admin consent, or let users consent."),
    "AADSTS65004": CodeWords(advice="You declined what the app asked for. Sign in again to change that."),
    "AADSTS90094": CodeWords("An administrator must consent to {scope}."),
    "AADSTS90095": CodeWords("An administrator must consent to {scope}."),
    "AADSTS650057": CodeWords("Add the API of {scope} to the app registration's API permissions."),
    "AADSTS500011": CodeWords("The tenant has no API that {scope} belongs to. Check SCOPE and AUTHORITY."),
    "AADSTS90009": CodeWords("The app asks for a token for itself. Use its client ID in SCOPE."),
    "AADSTS70011": CodeWords("SCOPE is malformed: {scope}"),
    "AADSTS28002": CodeWords("SCOPE is malformed: {scope}"),
    "AADSTS700022": CodeWords("SCOPE names more than one API. An access token is for one API: {scope}"),
    "AADSTS53003": CodeWords(
        "A Conditional Access policy blocks this sign-in.",
        "Your organization's rules do not allow this sign-in.",
    ),
    "AADSTS53000": CodeWords(
        "A Conditional Access policy requires a compliant device.",
        "Your organization requires a managed device.",
    ),
    "AADSTS530035": CodeWords(
        "Security defaults block this sign-in.", "Your organization's rules do not allow this sign-in."
    ),
    "AADSTS700084": CodeWords("{redirect_uri} is registered for a single-page app. Register it as Web."),
    "AADSTS7000215": CodeWords("CLIENT_SECRET is wrong. It must be the secret's Value, not its ID."),
    "AADSTS7000222": CodeWords("CLIENT_SECRET has expired. Create a new one in the portal."),
    "AADSTS7000218": CodeWords(
        "The request had no credential. Set CLIENT_SECRET or CLIENT_CERTIFICATE_PATH."
    ),
    "AADSTS700025": CodeWords("The app is registered as a public client. Register {redirect_uri} as Web."),
    "AADSTS700027": CodeWords("The app registration does not have this certificate. Upload it."),
    "AADSTS9001023": CodeWords("This kind of sign-in does not work at /common. Set a tenant in AUTHORITY."),
    "AADSTS50196": CodeWords(
        "The provider saw the same request too often. The log shows which request repeats."
    ),
    "AADSTS50058": CodeWords("The user has no session at the provider, and has to sign in again."),
    "AADSTS50072": CodeWords(
        "The user has to set up a second factor.",
        "Sign in again, and set up the second factor that you are asked for.",
    ),
    "AADSTS50076": CodeWords(
        "The user has to use a second factor.", "Sign in again. You will be asked for a second factor."
    ),
    "AADSTS50079": CodeWords(
        "The user has to set up a second factor.",
        "Sign in again, and set up the second factor that you are asked for.",
    ),
    "AADSTS50158": CodeWords(
        "A Conditional Access policy sends the user to another service first.",
        "Sign in again, and answer what the other service asks.",
    ),
    "AADSTS50173": CodeWords("The refresh token was revoked, for example by a new password."),
    "AADSTS54005": CodeWords("The code was redeemed already. Usually the browser loaded the response twice."),
    "AADSTS70008": CodeWords("A code or refresh token has expired. The user has to sign in again."),
    "AADSTS70043": CodeWords("A Conditional Access policy has ended the refresh token."),
    "AADSTS700082": CodeWords("The refresh token has expired, because nobody used it for too long."),
    "AADSTS90023": CodeWords(
        "The request has a malformed parameter. Compare the settings with the app registration."
    ),
    "AADSTS900144": CodeWords(
        "The request lacks a parameter. Compare the settings with the app registration."
    ),
    "AADSTS901002": CodeWords(
        "The request has the parameter `resource`. Compare the settings with the app registration."
    ),
    "AADSTS9002313": CodeWords(
        "The request, or the code in it, is malformed. Compare the settings with the app registration."
    ),
    "AADSTS90033": CodeWords("The provider has a temporary fault."),
    "AADSTS90055": CodeWords("The provider has too many requests."),
}

# RFC 6749 sections 4.1.2.1 and 5.2: for errors that have no code that is listed above.
OAUTH_ERRORS = {
    "redirect_uri_mismatch": B2C_CODES["AADB2C90006"],
    "invalid_client": CodeWords(
        "The credential is wrong or has expired. Check CLIENT_ID, and CLIENT_SECRET or what is set instead."
    ),
    "unauthorized_client": B2C_CODES["AADB2C90057"],
    "invalid_scope": CodeWords("The provider does not know SCOPE: {scope}"),
}
CODES = B2C_CODES | ENTRA_CODES


def port_advice(settings: Settings, port: int) -> str:
    """What to do when the app is reached on another port than REDIRECT_URI's."""
    uri = urlsplit(settings.redirect_uri)
    changed = uri._replace(netloc=f"{uri.hostname}:{port}").geturl()
    return f"Set and register REDIRECT_URI={changed}, or serve the app on port {settings.port}."


def words_for(error: Exception, settings: Settings) -> Words:
    """The words for `error` in an app with these settings."""
    words = next(WORDS[kind] for kind in type(error).__mro__ if kind in WORDS)
    if isinstance(error, oidc.OidcError):
        better = CODES.get(error.code) or OAUTH_ERRORS.get(error.error, CodeWords())
        words = replace(
            words, advice=better.advice or words.advice, operator=better.operator or words.operator
        )
    if isinstance(error, exceptions.AccountMismatch) and error.password_changed:
        words = replace(words, advice=f"The other account's password has been changed. {words.advice}")
    if isinstance(error, exceptions.Misdirected):
        words = replace(words, advice=f"Please go to {settings.origin}/")
    if isinstance(error, exceptions.OtherPort):
        words = replace(words, operator=port_advice(settings, error.port))
    scope = " ".join(getattr(error, "scopes", ()) or settings.scope)
    operator = words.operator.format(
        redirect_uri=settings.redirect_uri,
        scope=scope,
        authority=_authority_settings(settings),
    )
    return replace(words, operator=operator)


def _authority_settings(settings: Settings) -> str:
    """What in the settings tells the address of the metadata."""
    if settings.oidc_authority:
        return "OIDC_AUTHORITY: it is the issuer, exactly as the provider writes it"
    if settings.authority:
        return "the tenant in AUTHORITY"
    return "the name of the tenant and of the user flow"


@dataclass(frozen=True)
class ApiWords:
    """What to say about an API's answer."""

    title: str
    advice: str = ""
    operator: str = ""


API_SUCCESS = ApiWords("The API answered")
API_TIMEOUT = ApiWords(
    "The API did not answer in time",
    "It may be busy. Try again in a minute.",
    "If this continues, look at the API's own log.",
)
API_UNREACHABLE = ApiWords(
    "The API could not be reached",
    "Try again in a minute.",
    "Check that the API is running and that ENDPOINT holds its address. The log says what went wrong.",
)
API_STATUSES = {
    401: ApiWords(
        "The API did not accept the access token",
        "Sign out, sign in again, and try once more.",
        "Usually the API expects another audience or issuer than SCOPE asks for, or its clock is wrong. The "
        "WWW-Authenticate header often says which.",
    ),
    403: ApiWords(
        "The API does not allow this",
        "You may lack a permission. Ask the people who run this site.",
        "The access token lacks a scope that the API wants, or the user lacks a permission. Add the scope to "
        "SCOPE and to the app registration.",
    ),
    404: ApiWords(
        "The API has nothing at this address",
        ASK_THE_SITE,
        "The path in ENDPOINT may be misspelt. Compare it with the API's documentation.",
    ),
    429: ApiWords(
        "Too many requests to the API",
        "It had too many requests. Wait a while, then try again.",
        "The API throttles.",
    ),
}
API_REDIRECT = ApiWords(
    "The API points to another address",
    ASK_THE_SITE,
    "The app does not follow, because it would send the access token there. If the other address is right, "
    "set ENDPOINT to it.",
)
API_FAULT = ApiWords(
    "The API had an internal error",
    "Try again in a minute.",
    "The request reached the API, and something failed there. Look at the API's own log.",
)
API_REFUSAL = ApiWords(
    "The API refused the request",
    "The answer below may say why.",
    "Compare the request with the API's documentation.",
)


def words_for_api(status: int, failure: str) -> ApiWords:
    """The words for what came of a call, by the API's HTTP status or the kind of failure."""
    if 200 <= status < 300:
        return API_SUCCESS
    if failure:
        return API_TIMEOUT if failure == "timeout" else API_UNREACHABLE
    if 300 <= status < 400:
        return API_REDIRECT
    if status >= 500:
        return API_FAULT
    return API_STATUSES.get(status, API_REFUSAL)
