"""The app's side of OpenID Connect with an Azure AD B2C tenant. Knows nothing of Flask or of pages.

MSAL builds the requests, redeems codes and refresh tokens and keeps the tokens. What it leaves to the
application is done here: metadata, keys and ID tokens are checked, every call is bounded, session records
are sealed, and whatever goes wrong is raised as a Problem that knows what to tell whom.

In B2C each user flow is an authority of its own, and the same person is another MSAL account in each.
"""

from . import check
from .authority import Reply, Server
from .claims import CLAIMS, PROTOCOL_CLAIMS, described, display_name, printable
from .client import AccessToken, Client, SignIn, checked_hints
from .problems import (
    MEANINGS,
    AnswerRefused,
    Cancelled,
    FlowLost,
    OtherUser,
    PasswordForgotten,
    Problem,
    SessionEnded,
    SetupFault,
    SignInLoop,
    SignInRequired,
    StoreUnavailable,
    TenantUnavailable,
    TokenRefused,
    short,
)
from .records import STORE_ERRORS, Records, Seal, open_store
