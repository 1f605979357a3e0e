"""The errors of Entra ID and External ID: codes, texts, and the layout of an error.

Source: Microsoft Learn, "Microsoft Entra authentication and authorization error codes". Texts are shortened.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from .refusals import ErrorRow, Reason

REDIRECT_URI_MISMATCH: ErrorRow = (
    "AADSTS50011",
    "invalid_request",
    "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs "
    "configured for the application '{client_id}'.",
)
ERRORS: Mapping[Reason, ErrorRow] = {
    Reason.AUTHORITY_UNKNOWN: (
        "AADSTS90002",
        "invalid_tenant",
        "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into "
        "the correct cloud.",
    ),
    Reason.CLIENT_ID_MISSING: (
        "AADSTS900144",
        "invalid_request",
        "The request body must contain the following parameter: 'client_id'.",
    ),
    Reason.CLIENT_UNKNOWN: (
        "AADSTS700016",
        "unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'.",
    ),
    Reason.ONE_TENANT_APP: (
        "AADSTS50194",
        "invalid_request",
        "Application '{client_id}' is not configured as a multi-tenant application. Use a tenant-specific "
        "endpoint or configure the application to be multi-tenant.",
    ),
    Reason.REDIRECT_URI_MISSING: (
        "AADSTS900971",
        "invalid_request",
        "No reply address provided.",
    ),
    Reason.REDIRECT_URI_UNREGISTERED: REDIRECT_URI_MISMATCH,
    Reason.REDIRECT_URI_CHANGED: REDIRECT_URI_MISMATCH,
    Reason.RESPONSE_TYPE_UNSUPPORTED: (
        "AADSTS70005",
        "unsupported_response_type",
        "The response type '{value}' is not supported.",
    ),
    Reason.ID_TOKENS_NOT_ALLOWED: (
        "AADSTS700054",
        "unsupported_response_type",
        "response_type 'id_token' is not enabled for the application.",
    ),
    Reason.ACCESS_TOKENS_NOT_ALLOWED: (
        "AADSTS700051",
        "unsupported_response_type",
        "response_type 'token' is not enabled for the application.",
    ),
    Reason.RESPONSE_MODE_UNSUPPORTED: (
        "AADSTS70007",
        "invalid_request",
        "'{value}' is not a supported value of 'response_mode' when requesting a token.",
    ),
    Reason.SCOPE_MISSING: (
        "AADSTS900144",
        "invalid_request",
        "The request body must contain the following parameter: 'scope'.",
    ),
    Reason.SCOPE_WITHOUT_OPENID: (
        "AADSTS70011",
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope 'openid' is required "
        "for an ID token.",
    ),
    Reason.SCOPE_UNKNOWN: (
        "AADSTS70011",
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.",
    ),
    Reason.SCOPES_OF_TWO_APIS: (
        "AADSTS700022",
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid because it contains more than one "
        "resource. Scope {scope} is not valid.",
    ),
    Reason.API_UNKNOWN: (
        "AADSTS500011",
        "invalid_resource",
        "The resource principal named {name} was not found in the tenant named {tenant}.",
    ),
    Reason.PROMPT_INVALID: (
        "AADSTS90023",
        "invalid_request",
        "Unsupported 'prompt' value '{value}'.",
    ),
    Reason.CHALLENGE_MALFORMED: (
        "AADSTS501491",
        "invalid_request",
        "Invalid size of Code_Challenge parameter.",
    ),
    Reason.SIGN_IN_NEEDED: (
        "AADSTS50058",
        "login_required",
        "A silent sign-in request was sent but no user is signed in.",
    ),
    Reason.MAX_AGE_INVALID: (
        "AADSTS9002313",
        "invalid_request",
        "Invalid request. Request is malformed or invalid.",
    ),
    Reason.SESSION_TOO_OLD: (
        "AADSTS50058",
        "login_required",
        "A silent sign-in request was sent but no user is signed in.",
    ),
    Reason.CANCELLED: (
        "AADSTS65004",
        "access_denied",
        "User declined to consent to access the app.",
    ),
    Reason.NOT_IN_TENANT: (
        "AADSTS50020",
        "interaction_required",
        "User account '{email}' from identity provider '{idp}' does not exist in tenant '{tenant}' and "
        "cannot access the application '{client_id}' in that tenant.",
    ),
    Reason.NOT_ASSIGNED: (
        "AADSTS50105",
        "access_denied",
        "Your administrator has configured the application '{client_id}' to block users unless they are "
        "specifically granted ('assigned') access to the application.",
    ),
    Reason.CONSENT_NEEDED: (
        "AADSTS65001",
        "consent_required",
        "The user or administrator has not consented to use the application with ID '{client_id}'. Send an "
        "interactive authorization request for this user and resource.",
    ),
    Reason.ADMIN_CONSENT_NEEDED: (
        "AADSTS90094",
        "consent_required",
        "An administrator must consent to the permissions that this application requires: {scope}.",
    ),
    Reason.STEP_UP_NEEDED: (
        "AADSTS50076",
        "interaction_required",
        "Due to a configuration change made by your administrator, or because you moved to a new location, "
        "you must use multi-factor authentication to access '{resource}'.",
    ),
    Reason.GET_REFUSED: (
        "AADSTS900561",
        "invalid_request",
        "The endpoint only accepts POST requests. Received a GET request.",
    ),
    Reason.PARAMETER_MISSING: (
        "AADSTS900144",
        "invalid_request",
        "The request body must contain the following parameter: '{name}'.",
    ),
    Reason.GRANT_TYPE_UNSUPPORTED: (
        "AADSTS70003",
        "unsupported_grant_type",
        "The app requested an unsupported grant type '{value}'.",
    ),
    Reason.SECRET_MISSING: (
        "AADSTS7000218",
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    Reason.SECRET_WRONG: (
        "AADSTS7000215",
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
        "value, not the client secret ID, for a secret added to app.",
    ),
    Reason.SECRET_OF_PUBLIC_CLIENT: (
        "AADSTS700025",
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    ),
    Reason.ORIGIN_NOT_ALLOWED: (
        "AADSTS9002326",
        "invalid_request",
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. "
        "Request origin: '{origin}'.",
    ),
    Reason.ORIGIN_MISSING: (
        "AADSTS9002327",
        "invalid_request",
        "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin "
        "requests.",
    ),
    Reason.CHALLENGE_MISSING: (
        "AADSTS9002325",
        "invalid_request",
        "Proof Key for Code Exchange is required for cross-origin authorization code redemption.",
    ),
    Reason.GRANT_UNREADABLE: (
        "AADSTS9002313",
        "invalid_grant",
        "Invalid request. Request is malformed or invalid.",
    ),
    Reason.GRANT_OF_OTHER_APP: (
        "AADSTS70000",
        "invalid_grant",
        "Provided grant is invalid or malformed.",
    ),
    Reason.CODE_EXPIRED: (
        "AADSTS70008",
        "invalid_grant",
        "The provided authorization code or refresh token has expired due to inactivity. Send a new "
        "interactive authorization request for this user and resource.",
    ),
    Reason.CODE_USED: (
        "AADSTS54005",
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an "
        "existing refresh token.",
    ),
    Reason.REFRESH_TOKEN_EXPIRED: (
        "AADSTS700082",
        "invalid_grant",
        "The refresh token has expired due to inactivity.",
    ),
    Reason.REFRESH_TOKEN_OF_SPA_EXPIRED: (
        "AADSTS700084",
        "invalid_grant",
        "The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited "
        "lifetime of 1.00:00:00, which can't be extended. It is now expired and a new sign in request must "
        "be sent by the SPA to the sign in page.",
    ),
    Reason.GRANT_REVOKED: (
        "AADSTS50173",
        "invalid_grant",
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user "
        "might have changed or reset their password.",
    ),
    Reason.ACCOUNT_GONE: (
        "AADSTS50034",
        "invalid_grant",
        "The user account does not exist in the directory. To sign into this application, the account must "
        "be added to the directory.",
    ),
    Reason.ACCOUNT_DISABLED: (
        "AADSTS50057",
        "invalid_grant",
        "The user account is disabled.",
    ),
    Reason.VERIFIER_MALFORMED: (
        "AADSTS501481",
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
    Reason.VERIFIER_WRONG: (
        "AADSTS501481",
        "invalid_grant",
        "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
    ),
}

# Tests can ask for these by their code.
MORE_ERRORS: Mapping[str, ErrorRow] = {
    code: (code, error, text)
    for code, error, text in (
        ("AADSTS500208", "access_denied", "The domain is not a valid login domain for the account type."),
        ("AADSTS500571", "interaction_required", "The guest user account is disabled."),
        ("AADSTS50079", "interaction_required", "The user is required to use multi-factor authentication."),
        ("AADSTS53003", "access_denied", "Access has been blocked by Conditional Access policies."),
        ("AADSTS90033", "temporarily_unavailable", "A transient error has occurred. Please try again."),
        ("AADSTS90095", "access_denied", "Admin consent is required."),
        ("AADSTS7000222", "invalid_client", "The provided client secret keys are expired."),
    )
}


@dataclass(frozen=True)
class Trace:
    """What Microsoft's support finds a request by. `now` is in epoch seconds."""

    now: float
    trace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def timestamp(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.now))

    @property
    def lines(self) -> list[str]:
        return [
            f"Trace ID: {self.trace_id}",
            f"Correlation ID: {self.correlation_id}",
            f"Timestamp: {self.timestamp}",
        ]
