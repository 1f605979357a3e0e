"""The errors of Azure AD B2C: codes, texts, and the layout of an error_description."""

import time
import uuid
from collections.abc import Mapping

from .refusals import ErrorRow, Reason

# Code, OAuth error, text. The texts are the service's own, because apps look at them.
REDIRECT_URI_MISMATCH: ErrorRow = (
    "AADB2C90006",
    "redirect_uri_mismatch",
    "The redirect URI '{redirect_uri}' provided in the request is not registered for the client "
    "id '{client_id}'.",
)
ERRORS: Mapping[Reason, ErrorRow] = {
    Reason.REDIRECT_URI_MISSING: (
        "AADB2C90004",
        "invalid_request",
        "The request does not contain a redirect URI parameter.",
    ),
    Reason.REDIRECT_URI_UNREGISTERED: REDIRECT_URI_MISMATCH,
    Reason.REDIRECT_URI_CHANGED: REDIRECT_URI_MISMATCH,
    Reason.CLIENT_ID_MISSING: (
        "AADB2C90008",
        "invalid_request",
        "The request does not contain a client id parameter.",
    ),
    Reason.SCOPE_MISSING: (
        "AADB2C90010",
        "invalid_request",
        "The request does not contain a scope parameter.",
    ),
    Reason.RESPONSE_TYPE_UNSUPPORTED: (
        "AADB2C90013",
        "invalid_request",
        "The requested response type '{value}' provided in the request is not supported.",
    ),
    Reason.RESPONSE_MODE_UNSUPPORTED: (
        "AADB2C90014",
        "invalid_request",
        "The requested response mode '{value}' provided in the request is not supported.",
    ),
    Reason.CLIENT_UNKNOWN: (
        "AADB2C90018",
        "invalid_client",
        "The client id '{client_id}' specified in the request is not registered in tenant '{tenant}'.",
    ),
    Reason.PROMPT_INVALID: (
        "AADB2C90043",
        "invalid_request",
        "The prompt included in the request contains invalid values. Expected 'none', 'login', "
        "'consent' or 'select_account'.",
    ),
    Reason.SCOPE_WITHOUT_API: (
        "AADB2C90055",
        "invalid_request",
        "The scope '{scope}' provided in request must specify a resource, such as "
        "'https://example.com/calendar.read'.",
    ),
    Reason.ID_TOKENS_NOT_ALLOWED: (
        "AADB2C90057",
        "unauthorized_client",
        "The provided application is not configured to allow implicit grant.",
    ),
    Reason.ACCESS_TOKENS_NOT_ALLOWED: (
        "AADB2C90057",
        "unauthorized_client",
        "The provided application is not configured to allow implicit grant.",
    ),
    Reason.AUTHORITY_UNKNOWN: (
        "AADB2C90066",
        "invalid_request",
        "The policy '{name}' specified in the request does not exist in tenant '{tenant}'.",
    ),
    Reason.RETURN_ADDRESS_MALFORMED: (
        "AADB2C90067",
        "invalid_request",
        "The post logout redirect URI '{uri}' has an invalid format. Specify an https based URL such "
        "as 'https://example.com/return' or for native clients use the IETF native client URI "
        "'urn:ietf:wg:oauth:2.0:oob'.",
    ),
    Reason.SIGN_IN_NEEDED: (
        "AADB2C90077",
        "interaction_required",
        "User does not have an existing session and request prompt parameter has a value of 'None'.",
    ),
    Reason.SECRET_MISSING: (
        "AADB2C90079",
        "invalid_request",
        "Clients must send a client_secret when redeeming a confidential grant.",
    ),
    Reason.CODE_EXPIRED: (
        "AADB2C90080",
        "invalid_grant",
        "The provided grant has expired. Please re-authenticate and try again. Current time: {now}, "
        "Grant issued time: {issued}, Grant expiration time: {expires}.",
    ),
    Reason.REFRESH_TOKEN_EXPIRED: (
        "AADB2C90080",
        "invalid_grant",
        "The provided grant has expired. Please re-authenticate and try again. Current time: {now}, "
        "Grant issued time: {issued}, Grant sliding window expiration time: {expires}.",
    ),
    Reason.REFRESH_TOKEN_OF_SPA_EXPIRED: (
        "AADB2C90080",
        "invalid_grant",
        "The provided grant has expired. Please re-authenticate and try again. Current time: {now}, "
        "Grant issued time: {issued}, Grant expiration time: {expires}.",
    ),
    Reason.SECRET_WRONG: (
        "AADB2C90081",
        "invalid_client",
        "The specified client_secret does not match the expected value for this client. Please "
        "correct the client_secret and try again.",
    ),
    Reason.SECRET_OF_PUBLIC_CLIENT: (
        "AADB2C90084",
        "invalid_request",
        "Public clients should not send a client_secret when redeeming a publicly acquired grant.",
    ),
    Reason.PARAMETER_MISSING: (
        "AADB2C90083",
        "invalid_request",
        "The request is missing required parameter: {name}.",
    ),
    Reason.GRANT_TYPE_UNSUPPORTED: (
        "AADB2C90086",
        "invalid_request",
        "The supplied grant_type [{value}] is not supported.",
    ),
    Reason.GRANT_OF_OTHER_FLOW: (
        "AADB2C90088",
        "invalid_grant",
        "The provided grant has not been issued for this endpoint. Actual Value : {actual} and "
        "Expected Value : {expected}",
    ),
    Reason.GRANT_UNREADABLE: (
        "AADB2C90090",
        "invalid_grant",
        "The provided JWE is not a valid 5 segment token.",
    ),
    Reason.CANCELLED: (
        "AADB2C90091",
        "access_denied",
        "The user has cancelled entering self-asserted information.",
    ),
    Reason.SCOPE_WITHOUT_OPENID: (
        "AADB2C90110",
        "invalid_request",
        "The scope parameter must include 'openid' when requesting a response_type that includes 'id_token'.",
    ),
    Reason.SCOPE_WITHOUT_BOTH: (
        "AADB2C90115",
        "invalid_request",
        "When requesting the 'code' response_type, the scope parameter must include a resource or client "
        "ID for access tokens, and 'openid' for ID tokens. Additionally include 'offline_access' for refresh "
        "tokens.",
    ),
    Reason.SCOPE_UNKNOWN: (
        "AADB2C90117",
        "invalid_request",
        "The scope '{scope}' provided in the request is not supported.",
    ),
    Reason.PASSWORD_FORGOTTEN: ("AADB2C90118", "access_denied", "The user has forgotten their password."),
    Reason.MAX_AGE_INVALID: (
        "AADB2C90120",
        "invalid_request",
        "The max age parameter '{value}' specified in the request is invalid. Max age must be an integer "
        "between '0' and '{longest}' inclusive.",
    ),
    Reason.SESSION_TOO_OLD: (
        "AADB2C90121",
        "interaction_required",
        "The session of the user is older than the max age '{max_age}' and request prompt parameter has a "
        "value of 'None'.",
    ),
    Reason.ACCOUNT_GONE: (
        "AADB2C90128",
        "invalid_grant",
        "The account associated with this grant no longer exists. Please reauthenticate and try again.",
    ),
    Reason.GRANT_REVOKED: (
        "AADB2C90129",
        "invalid_grant",
        "The provided grant has been revoked. Please reauthenticate and try again.",
    ),
    Reason.CODE_USED: (
        "AADB2C90129",
        "invalid_grant",
        "The provided grant has been revoked. Please reauthenticate and try again.",
    ),
    Reason.ACCOUNT_DISABLED: (
        "AADB2C90129",
        "invalid_grant",
        "The provided grant has been revoked. Please reauthenticate and try again.",
    ),
    Reason.SCOPES_OF_TWO_APIS: (
        "AADB2C90146",
        "invalid_request",
        "The scope '{scope}' provided in request specifies more than one resource for an access "
        "token, which is not supported.",
    ),
    Reason.VERIFIER_WRONG: (
        "AADB2C90182",
        "invalid_grant",
        "The supplied code_verifier does not match associated code_challenge",
    ),
    Reason.VERIFIER_MALFORMED: ("AADB2C90183", "invalid_grant", "The supplied code_verifier is invalid"),
    Reason.CHALLENGE_MALFORMED: (
        "AADB2C90184",
        "invalid_request",
        "The supplied code_challenge_method is not supported. Supported values are plain or S256",
    ),
    Reason.CHALLENGE_MISSING: (
        "AADB2C99059",
        "invalid_request",
        "The supplied request must present a code_challenge",
    ),
    Reason.SCOPE_NOT_GRANTED: (
        "AADB2C90205",
        "invalid_request",
        "This application does not have sufficient permissions against this web resource to perform "
        "the operation.",
    ),
    Reason.HINT_INVALID: ("AADB2C90210", "invalid_request", "The supplied id_token_hint is invalid."),
    Reason.PASSWORD_GRANT_NOT_ALLOWED: (
        "AADB2C90224",
        "access_denied",
        "Resource owner flow has not been enabled for the application.",
    ),
    Reason.PASSWORD_WRONG: (
        "AADB2C90225",
        "access_denied",
        "The username or password provided in the request are invalid.",
    ),
    Reason.GET_REFUSED: (
        "AADB2C90226",
        "invalid_request",
        "The specified token exchange is only supported over HTTP POST",
    ),
    Reason.GRANT_OF_OTHER_APP: (
        "AADB2C90279",
        "invalid_grant",
        "The provided client id does not match the client id that issued the grant.",
    ),
    Reason.HINT_MISSING: (
        "AADB2C90272",
        "invalid_request",
        "The id_token_hint parameter has not been specified in the request. Please provide token and "
        "try again.",
    ),
}


def error_description(text: str, now: float) -> str:
    """The three lines of an error_description, each with CRLF at its end. `now` is in epoch seconds."""
    timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
    return f"{text}\r\nCorrelation ID: {uuid.uuid4()}\r\nTimestamp: {timestamp}\r\n"
