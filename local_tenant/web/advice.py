"""What a developer can do about a refused request, for the list of requests on the root page."""

from collections.abc import Mapping

from ..authorities.refusals import Reason

COPY_THE_SCOPES = "Copy the scopes of the web API from this page. A token is for one API."
ALLOW_TOKENS = (
    "Use response_type=code. The authorization endpoint issues tokens only to an app registration that has "
    "id_tokens or access_tokens set to true in the set-up file."
)
SEND_THE_VERIFIER = "Send the code_verifier that belongs to the code_challenge of the same sign-in."

ADVICE: Mapping[Reason, str] = {
    Reason.AUTHORITY_UNKNOWN: "Copy the authority from this page. Its path names tenant and user flow.",
    Reason.CLIENT_ID_MISSING: "Send the client_id of an app registration on this page.",
    Reason.CLIENT_UNKNOWN: "Copy the client ID of an app registration from this page.",
    Reason.ONE_TENANT_APP: "Use the authority whose path has the tenant's ID.",
    Reason.REDIRECT_URI_MISSING: "Send a redirect_uri that is registered.",
    Reason.REDIRECT_URI_UNREGISTERED: "Register this redirect URI, exactly as the app sends it.",
    Reason.REDIRECT_URI_CHANGED: "Send the redirect_uri that the sign-in began with.",
    Reason.ID_TOKENS_NOT_ALLOWED: ALLOW_TOKENS,
    Reason.ACCESS_TOKENS_NOT_ALLOWED: ALLOW_TOKENS,
    Reason.SCOPE_UNKNOWN: COPY_THE_SCOPES,
    Reason.SCOPE_NOT_GRANTED: COPY_THE_SCOPES,
    Reason.SCOPES_OF_TWO_APIS: COPY_THE_SCOPES,
    Reason.API_UNKNOWN: COPY_THE_SCOPES,
    Reason.CHALLENGE_MALFORMED: "A code_challenge has 43 to 128 characters, with code_challenge_method=S256.",
    Reason.SIGN_IN_NEEDED: (
        "prompt=none shows no page, and this browser has no session at the tenant. "
        "Begin a sign-in without it."
    ),
    Reason.PASSWORD_FORGOTTEN: (
        "The user asked for a new password. The app now starts the user flow for password reset."
    ),
    Reason.CANCELLED: "The user pressed Cancel.",
    Reason.NOT_IN_TENANT: "Sign in with an account of this tenant, or use an authority for all tenants.",
    Reason.CHALLENGE_MISSING: "A single-page app has to use PKCE. Send a code_challenge.",
    Reason.SECRET_OF_PUBLIC_CLIENT: (
        "An app registration of type spa or native is a public client. Leave the client_secret out."
    ),
    Reason.ORIGIN_MISSING: (
        "A script in the browser redeems the codes of a single-page app, and its request has an Origin. "
        "A server uses the registration of type web, a desktop app that of type native."
    ),
    Reason.ORIGIN_NOT_ALLOWED: "Scripts redeem codes of an app registration of type spa only.",
    Reason.GRANT_OF_OTHER_APP: "Send the client_id that the sign-in began with.",
    Reason.GET_REFUSED: "Send token requests with POST.",
    Reason.SECRET_MISSING: (
        "An app registration of type web has a client secret, which the token request sends. An app without "
        "a secret uses the registration of type spa or native."
    ),
    Reason.SECRET_WRONG: "Copy the client secret from this page.",
    Reason.GRANT_OF_OTHER_FLOW: "Use the token endpoint of the user flow that issued the code.",
    Reason.CODE_EXPIRED: "A code is good for a few minutes. Begin a new sign-in.",
    Reason.CODE_USED: "A code works once, and the app sent it twice. Begin a new sign-in.",
    Reason.VERIFIER_MALFORMED: SEND_THE_VERIFIER,
    Reason.VERIFIER_WRONG: SEND_THE_VERIFIER,
}
