"""What can go wrong between the browser and this app. `words` says what people read about each."""


class WebError(Exception):
    """A request that this app cannot serve. The text is for the log only."""


class FlowLost(WebError):
    """No pending flow of this browser has the response's `state`."""


class SignInLoop(WebError):
    """The browser is sent to the sign-in service again and again, and no session starts."""


class AccountMismatch(WebError):
    """A profile edit or password reset came back for another account than the signed-in one."""

    def __init__(self, detail: str, *, password_changed: bool = False) -> None:
        super().__init__(detail)
        self.password_changed = password_changed


class InteractionFailed(WebError):
    """The user signed in again as required, and it was not enough."""


class RoleMissing(WebError):
    """The user has none of the roles that the page requires."""


class SentFromElsewhere(WebError):
    """A form or script of another site tried to change something in the user's name."""


class ProfileUnavailable(WebError):
    """Microsoft Graph does not give the user's profile."""


class Misdirected(WebError):
    """The request names another host than the configured one."""


class OtherPort(Misdirected):
    """The app is reached on this machine, and on another port than REDIRECT_URI's."""

    def __init__(self, port: int) -> None:
        super().__init__(f"reached on port {port}")
        self.port = port


class CookiesTooLarge(WebError):
    """The request has more cookies than the app reads."""


class HeaderTooLarge(WebError):
    """The request has a header that is longer than the app reads."""


class NotAVisit(WebError):
    """The request for a page of a user flow was not made by a person going there."""


class TooBusy(WebError):
    """Too many requests wait for the same thing. `retry_after` is in seconds."""

    retry_after = 2
