"""A Flask web app that signs users in with Microsoft and calls a web API for them.

This file is yours to edit. It has the routes in the order in which a user meets them, and what happens when
the user comes back from the sign-in service. The package `signin` does the rest: the protocol
(`signin.oidc`), the session records (`signin.sessions`), and what every route relies on (`signin.web`).
"""

from flask import Response, request
from flask.typing import ResponseReturnValue

from signin.commands import add_commands, run_registration_command
from signin.web import (
    EDIT_PROFILE,
    RESET_PASSWORD,
    SIGN_IN,
    SIGN_UP,
    AccountMismatch,
    Cancelled,
    CompletedFlow,
    FlowLost,
    InteractionRequired,
    PasswordForgotten,
    PendingFlow,
    ResponseRefused,
    SessionEnded,
    SignInApp,
    ask_first,
    begin_interaction,
    begin_needed,
    begin_unasked,
    begin_user_flow,
    call_api,
    came_from_this_site,
    current_user,
    end_my_other_sessions,
    end_my_session,
    end_session,
    forget_interactions,
    front_channel_sign_out,
    go_to,
    hints_from,
    local_path,
    may_be_signed_in,
    my_sessions,
    note_interaction,
    page,
    people_only,
    require_session_store,
    save_profile,
    serve,
    show_profile,
    show_sign_in_page,
    sign_in_required,
    start_session,
    take_pending_flow,
)

run_registration_command()  # `flask register` ends here: it needs no settings, and the next line does
app = SignInApp(__name__)  # reads app_config, opens the session store, adds security headers and error pages
add_commands(app)  # flask check, flask register, flask unregister
settings = app.settings


@app.get("/healthz")
def healthz() -> Response:
    """Tell a load balancer that this process answers."""
    return Response("ok\n", mimetype="text/plain")


@app.get("/")
def home() -> ResponseReturnValue:
    """Show the account, or offer to sign in."""
    require_session_store()
    return page("home.html")


# --- Sign in --------------------------------------------------------------------------------------


@app.get("/login")
@people_only
@ask_first
def login() -> ResponseReturnValue:
    """Begin the sign-up and sign-in user flow."""
    next_path = local_path(request.args.get("next"))
    # A script was told what its user has to sign in for.
    needed = begin_needed(request.args.get("need", ""), next_path)
    return needed or begin_user_flow(SIGN_IN, next_path, hints=hints_from(request.args))


if app.offers(SIGN_UP):

    @app.get("/signup")
    @people_only
    @ask_first
    def signup() -> ResponseReturnValue:
        """Begin the sign-in with the page for a new account."""
        return begin_user_flow(SIGN_UP, local_path(request.args.get("next")), hints=hints_from(request.args))


@app.get(settings.callback_path)
@people_only
def callback() -> ResponseReturnValue:
    """Complete the user flow that this browser began with this `state`."""
    # The flow that this browser began. It can be used once.
    pending = take_pending_flow()
    if not pending and current_user:  # the Back button, or a page that the browser restored
        return go_to("/", notice="signed_in_already")
    if not pending:
        raise FlowLost("no pending flow has this state")

    # Each parameter at most once (RFC 6749 section 3.1).
    if any(len(values) > 1 for values in request.args.to_dict(flat=False).values()):
        raise ResponseRefused("a parameter is given twice")

    # Check the response, redeem the code, check the ID token.
    try:
        completed = app.client.complete(pending.user_flow, pending.auth_code_flow, request.args)
    except Cancelled:
        return cancelled(pending)
    except PasswordForgotten:
        if not app.offers(RESET_PASSWORD):
            raise
        return begin_unasked(RESET_PASSWORD, pending.next_path, "password_changed", hints=pending.hints)
    except InteractionRequired as error:
        if not error.claims:
            raise
        return begin_interaction(error, pending.next_path, pending.notice, after=pending)

    # Continue with the function for this user flow: see ON_RETURN below.
    return ON_RETURN[pending.user_flow](completed, pending)


def signed_in(completed: CompletedFlow, pending: PendingFlow) -> ResponseReturnValue:
    """The user has signed in or signed up. Start a session."""
    start_session(completed, pending)
    note_interaction(pending.interaction)
    return go_to(pending.next_path, notice="welcome" if completed.new_user else pending.notice)


def cancelled(pending: PendingFlow) -> ResponseReturnValue:
    """The user pressed Cancel at the sign-in service."""
    forget_interactions()
    # A page that requires sign-in would send the user straight back to the sign-in service.
    next_path = "/" if pending.user_flow == SIGN_IN or not current_user else pending.next_path
    return go_to(next_path, notice="cancelled")


# --- The account ----------------------------------------------------------------------------------


if app.offers(EDIT_PROFILE):

    @app.get("/edit_profile")
    @sign_in_required
    @people_only
    @ask_first
    def edit_profile() -> ResponseReturnValue:
        """Begin the profile editing user flow."""
        next_path = local_path(request.args.get("next"))
        return begin_user_flow(EDIT_PROFILE, next_path, hints=hints_from(request.args))

elif settings.profile_scope:

    @app.route("/edit_profile", methods=["GET", "POST"])
    @sign_in_required(scopes=settings.profile_scope)
    @people_only
    def edit_profile() -> ResponseReturnValue:
        """Let the user change the profile in Microsoft Graph."""
        next_path = local_path(request.args.get("next"))
        return save_profile(next_path) if request.method == "POST" else show_profile(next_path)


def profile_edited(completed: CompletedFlow, pending: PendingFlow) -> ResponseReturnValue:
    """The user has edited the profile. Sign in with it, for new claims and new tokens."""
    if not current_user:
        raise SessionEnded("the session that the profile edit belongs to has ended")
    if current_user.id != completed.user_id:
        raise AccountMismatch("the profile edit is for another account")
    return begin_unasked(SIGN_IN, pending.next_path, "profile_updated", hints=pending.hints)


if app.offers(RESET_PASSWORD):

    @app.get("/reset_password")
    @people_only
    @ask_first
    def reset_password() -> ResponseReturnValue:
        """Begin the password reset user flow."""
        next_path = local_path(request.args.get("next"))
        return begin_user_flow(RESET_PASSWORD, next_path, hints=hints_from(request.args))


def password_reset(completed: CompletedFlow, pending: PendingFlow) -> ResponseReturnValue:
    """The user has a new password. Sign in with it: the reset flow returns no token for the web API."""
    if current_user and current_user.id != completed.user_id:
        raise AccountMismatch("the password reset is for another account", password_changed=True)
    return begin_unasked(SIGN_IN, pending.next_path, "password_changed", hints=pending.hints)


ON_RETURN = {
    SIGN_IN: signed_in,
    SIGN_UP: signed_in,
    EDIT_PROFILE: profile_edited,
    RESET_PASSWORD: password_reset,
}


# --- Sessions -------------------------------------------------------------------------------------


@app.get("/sessions")
@sign_in_required
def sessions() -> ResponseReturnValue:
    """Show where the user is signed in."""
    return page("sessions.html", sessions=my_sessions())


@app.post("/sessions")
def end_sessions() -> ResponseReturnValue:
    """End all sessions of the user, all others, or one."""
    # Signing out also works while the session store does not.
    if request.form.get("end") == "all" and came_from_this_site() and may_be_signed_in():
        return end_session(everywhere=True)
    return end_other_sessions()


@sign_in_required
def end_other_sessions() -> ResponseReturnValue:
    """End one session of the user, or all but this one."""
    if not came_from_this_site():
        return page("sessions.html", 403, sessions=my_sessions())
    chosen = request.form.get("end", "")
    if chosen == "others":
        end_my_other_sessions()
        return go_to("/sessions", notice="other_sessions_ended")
    ended = end_my_session(chosen)
    return go_to("/sessions", notice="session_ended" if ended else "session_gone")


# --- The demo: delete this part when you have pages of your own -----------------------------------


@app.get("/token_details")
def token_details() -> ResponseReturnValue:
    """Show the claims of the ID token, each with its meaning."""
    if not current_user:
        return show_sign_in_page(next_path="/token_details")
    return page("token_details.html", claims=current_user.described_claims)


if settings.endpoint:
    endpoint = settings.endpoint

    @app.get("/call_downstream_api")
    @sign_in_required(scopes=settings.scope)
    def call_downstream_api() -> ResponseReturnValue:
        """Call the web API for the user and show its answer."""
        answer = call_api(endpoint, scopes=settings.scope)
        return page("api.html", answer.page_status, answer=answer)


if settings.endpoint and settings.write_scope:

    @app.route("/add_task", methods=["GET", "POST"])
    @sign_in_required(scopes=settings.write_scope)
    def add_task() -> ResponseReturnValue:
        """Add a task. The access token for reading is not enough, so opening the page gets another."""
        if request.method == "GET":
            return page("add_task.html")
        task = {"title": request.form.get("title", "")}
        answer = call_api(endpoint, scopes=settings.write_scope, method="POST", body=task)
        if not answer.ok:
            return page("api.html", answer.page_status, answer=answer)
        return go_to("/call_downstream_api", notice="task_added")


# --- Sign out -------------------------------------------------------------------------------------


@app.route("/logout", methods=["GET", "POST"])
@people_only
def logout() -> ResponseReturnValue:
    """End the session here and at the sign-in service. Only the user can ask for it."""
    if not came_from_this_site():
        return page("sign_out.html", 403 if request.method == "POST" else 200)
    return end_session()


if app.client.provider.has_front_channel_logout:

    @app.get("/frontchannel_logout")
    def frontchannel_logout() -> ResponseReturnValue:
        """End the session that has ended at the sign-in service, which loads this in a hidden frame."""
        return front_channel_sign_out()


if __name__ == "__main__":
    serve(app)
