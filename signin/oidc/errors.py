"""What can go wrong between the app and the provider, as exceptions that carry facts.

The words that people read are chosen elsewhere. `str(error)` is for the log: it can hold what a
stranger sent.
"""


class OidcError(Exception):
    """Signing in, or getting a token, did not work.

    `error` is the OAuth error; `code` is the provider's own, such as "AADB2C90118" or "AADSTS50105";
    `correlation_id` finds the case in the provider's log; `retry_after` is in seconds; `url` is what was
    asked, without query or userinfo; `claims` is a claims challenge (JSON text) for the next authorization
    request; `scopes` are those of the access token that was asked for. For an InteractionRequired they can
    be more than the caller `wanted`.
    """

    scopes: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()

    def __init__(
        self,
        detail: str,
        *,
        error: str = "",
        code: str = "",
        correlation_id: str = "",
        retry_after: int = 0,
        url: str = "",
        claims: str = "",
    ):
        super().__init__(detail)
        self.error = error
        self.code = code
        self.correlation_id = correlation_id
        self.retry_after = retry_after
        self.url = url
        self.claims = claims


class Cancelled(OidcError):
    """The user pressed Cancel."""


class PasswordForgotten(OidcError):
    """The user followed "Forgot your password?", which B2C answers with AADB2C90118."""


class ResponseRefused(OidcError):
    """The authorization response does not fit the request that this browser began."""


class TokenRefused(OidcError):
    """An ID token failed a check. `check` names it: a claim such as "iss", or "signature", "key", ..."""

    def __init__(self, detail: str, *, check: str = ""):
        super().__init__(detail)
        self.check = check


class SignInRequired(OidcError):
    """Only the user can get a new token: the grant is missing, expired or revoked."""


class InteractionRequired(SignInRequired):
    """The user has something to do: MFA, consent, a claims challenge. One interactive request can help."""


class AccessBlocked(OidcError):
    """This account may not sign in here: locked, not assigned to the app, or of another tenant."""


class TenantNotAllowed(AccessBlocked):
    """The account is of a tenant that the settings do not admit."""


class ProviderUnavailable(OidcError):
    """The provider gave no answer, or none that makes sense."""


class NameNotResolved(ProviderUnavailable):
    """The name of the provider's host could not be resolved."""


class Overloaded(ProviderUnavailable):
    """Too many calls to the provider are under way already. `retry_after` is set."""


class SetupFault(OidcError):
    """Settings and registration do not fit together. Trying again cannot help."""


class MetadataNotFound(SetupFault):
    """There is no metadata at the authority's URL: a name or id in it is wrong."""


class WrongTenant(SetupFault):
    """The metadata names another tenant than the settings."""
