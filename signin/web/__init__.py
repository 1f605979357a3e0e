"""What every route relies on: the app object, sessions, guards, user flows, pages and error pages.

Your code imports everything from here.
"""

from signin.oidc import (
    EDIT_PROFILE,
    RESET_PASSWORD,
    SIGN_IN,
    SIGN_UP,
    Cancelled,
    InteractionRequired,
    PasswordForgotten,
    ResponseRefused,
)
from signin.oidc import SignIn as CompletedFlow
from signin.sessions import SessionEnded

from .api import ApiAnswer, access_token, call_api
from .application import SignInApp, serve
from .exceptions import AccountMismatch, FlowLost
from .fetch_metadata import came_from_this_site
from .graph_profile import save_profile, show_profile
from .guards import (
    ask_first,
    people_only,
    role_required,
    show_sign_in_page,
    sign_in_required,
)
from .interactions import forget_interactions, note_interaction
from .my_sessions import end_my_other_sessions, end_my_session, may_be_signed_in, my_sessions
from .responses import go_to, local_path, page
from .session import require_session_store, start_session
from .sign_out import end_session, front_channel_sign_out
from .user import current_user
from .user_flows import (
    PendingFlow,
    begin_interaction,
    begin_needed,
    begin_unasked,
    begin_user_flow,
    hints_from,
    take_pending_flow,
)

__all__ = [
    "EDIT_PROFILE",
    "RESET_PASSWORD",
    "SIGN_IN",
    "SIGN_UP",
    "AccountMismatch",
    "ApiAnswer",
    "Cancelled",
    "CompletedFlow",
    "FlowLost",
    "InteractionRequired",
    "PasswordForgotten",
    "PendingFlow",
    "ResponseRefused",
    "SessionEnded",
    "SignInApp",
    "access_token",
    "ask_first",
    "begin_interaction",
    "begin_needed",
    "begin_unasked",
    "begin_user_flow",
    "call_api",
    "came_from_this_site",
    "current_user",
    "end_my_other_sessions",
    "end_my_session",
    "end_session",
    "forget_interactions",
    "front_channel_sign_out",
    "go_to",
    "hints_from",
    "local_path",
    "may_be_signed_in",
    "my_sessions",
    "note_interaction",
    "page",
    "people_only",
    "require_session_store",
    "role_required",
    "save_profile",
    "serve",
    "show_profile",
    "show_sign_in_page",
    "sign_in_required",
    "start_session",
    "take_pending_flow",
]
