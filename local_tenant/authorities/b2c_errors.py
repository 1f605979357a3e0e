"""The errors of Azure AD B2C: codes, texts, and the layout of an error_description."""

import re
import time
import uuid
from collections.abc import Iterable
from urllib.parse import quote_plus

# Code: (OAuth error, text). The texts are the service's own, because apps look at them.
KNOWN = {
    "AADB2C90004": ("invalid_request", "The request does not contain a redirect URI parameter."),
    "AADB2C90006": (
        "redirect_uri_mismatch",
        "The redirect URI '{0}' provided in the request is not registered for the client id '{1}'.",
    ),
    "AADB2C90008": ("invalid_request", "The request does not contain a client id parameter."),
    "AADB2C90010": ("invalid_request", "The request does not contain a scope parameter."),
    "AADB2C90013": (
        "invalid_request",
        "The requested response type '{0}' provided in the request is not supported.",
    ),
    "AADB2C90014": (
        "invalid_request",
        "The requested response mode '{0}' provided in the request is not supported.",
    ),
    "AADB2C90018": (
        "invalid_client",
        "The client id '{0}' specified in the request is not registered in tenant '{1}'.",
    ),
    "AADB2C90043": (
        "invalid_request",
        "The prompt included in the request contains invalid values. "
        "Expected 'none', 'login', 'consent' or 'select_account'.",
    ),
    "AADB2C90057": (
        "unauthorized_client",
        "The provided application is not configured to allow implicit grant.",
    ),
    "AADB2C90066": (
        "invalid_request",
        "The policy '{0}' specified in the request does not exist in tenant '{1}'.",
    ),
    "AADB2C90067": (
        "invalid_request",
        "The post logout redirect URI '{0}' has an invalid format. "
        "Specify an https based URL such as 'https://example.com/return' "
        "or for native clients use the IETF native client URI 'urn:ietf:wg:oauth:2.0:oob'.",
    ),
    "AADB2C90077": (
        "interaction_required",
        "User does not have an existing session and request prompt parameter has a value of 'None'.",
    ),
    "AADB2C90079": (
        "invalid_request",
        "Clients must send a client_secret when redeeming a confidential grant.",
    ),
    "AADB2C90080": (
        "invalid_grant",
        "The provided grant has expired. Please re-authenticate and try again. "
        "Current time: {0}, Grant issued time: {1}, Grant {2}expiration time: {3}.",
    ),
    "AADB2C90081": (
        "invalid_client",
        "The specified client_secret does not match the expected value for this client. "
        "Please correct the client_secret and try again.",
    ),
    "AADB2C90083": ("invalid_request", "The request is missing required parameter: {0}."),
    "AADB2C90086": ("invalid_request", "The supplied grant_type [{0}] is not supported."),
    "AADB2C90088": (
        "invalid_grant",
        "The provided grant has not been issued for this endpoint. "
        "Actual Value : {0} and Expected Value : {1}",
    ),
    "AADB2C90090": ("invalid_grant", "The provided JWE is not a valid 5 segment token."),
    "AADB2C90091": ("access_denied", "The user has cancelled entering self-asserted information."),
    "AADB2C90117": ("invalid_request", "The scope '{0}' provided in the request is not supported."),
    "AADB2C90118": ("access_denied", "The user has forgotten their password."),
    "AADB2C90128": (
        "invalid_grant",
        "The account associated with this grant no longer exists. Please reauthenticate and try again.",
    ),
    "AADB2C90129": (
        "invalid_grant",
        "The provided grant has been revoked. Please reauthenticate and try again.",
    ),
    "AADB2C90146": (
        "invalid_request",
        "The scope '{0}' provided in request specifies more than one resource for an access token, "
        "which is not supported.",
    ),
    "AADB2C90182": ("invalid_grant", "The supplied code_verifier does not match associated code_challenge"),
    "AADB2C90183": ("invalid_grant", "The supplied code_verifier is invalid"),
    "AADB2C90184": (
        "invalid_request",
        "The supplied code_challenge_method is not supported. Supported values are plain or S256",
    ),
    "AADB2C90205": (
        "invalid_request",
        "This application does not have sufficient permissions against this web resource "
        "to perform the operation.",
    ),
    "AADB2C90210": ("invalid_request", "The supplied id_token_hint is invalid."),
    "AADB2C90226": ("invalid_request", "The specified token exchange is only supported over HTTP POST"),
    "AADB2C90272": (
        "invalid_request",
        "The id_token_hint parameter has not been specified in the request. "
        "Please provide token and try again.",
    ),
}


class B2CError(Exception):
    """One of the KNOWN errors, with `values` filled into its text."""

    def __init__(self, code: str, *values: object):
        self.error, text = KNOWN[code]
        self.text = f"{code}: {text.format(*values) if values else text}"
        super().__init__(self.text)


def error_description(text: str, now: float) -> str:
    """The three lines of an error_description, each with CRLF at its end. `now` is in epoch seconds."""
    timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(now))
    return f"{text}\r\nCorrelation ID: {uuid.uuid4()}\r\nTimestamp: {timestamp}\r\n"


def form_encode(parameters: Iterable[tuple[str, str]]) -> str:
    """Form encoding as .NET writes it: blanks as `+`, hexadecimal escapes in lower case."""
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in parameters)


def _escape(text: str) -> str:
    escaped = quote_plus(text, safe="-_.!*()", errors="surrogatepass")
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), escaped)
