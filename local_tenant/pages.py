"""The authorize endpoint and its pages: sign-in, sign-up, profile editing, password reset."""

import secrets

from flask import current_app, g, make_response, redirect, render_template, request, send_from_directory

from .address import add_route, same_url
from .current import cookie_name, tenant
from .directory import LOCKED, Account, Refused, check_new_password
from .errors import B2CError
from .protocol import check_authorization_request, error_page
from .redirects import go_back, with_state
from .texts import choose

KEPT_JOURNEYS = 5_000
REQUIRED = "A required field is missing. Please fill out all required fields and try again."
SENT = "Verification code has been sent to your inbox. Please copy it to the input box below."
VERIFIED = "E-mail address verified. You can now continue."
UNKNOWN = "An account could not be found for the provided user ID."
ATTRIBUTES = {
    "displayName": "display_name",
    "givenName": "given_name",
    "surname": "surname",
    "city": "city",
}


def add_pages(app):
    add_route(app, "oauth2/v2.0/authorize", authorize, ["GET", "POST"])
    app.add_url_rule("/", view_func=home)
    app.add_url_rule("/mailbox", view_func=mailbox)
    app.add_url_rule("/favicon.ico", view_func=favicon)


def home():
    return render_template("home.html", tenant=tenant(), lang="en")


def mailbox():
    return render_template("mailbox.html", messages=tenant().mailbox.messages[::-1], lang="en")


def favicon():
    return send_from_directory(current_app.static_folder, "favicon.svg")


def authorize():
    """Lead the person through the user flow's journey and back to the app."""
    if request.method == "POST" and not from_own_page():
        return error_page("The form was sent from another site.", 403)
    g.prompts = check_authorization_request()
    if answer := _forced_error():
        return answer
    g.session, g.account = tenant().session(request.cookies.get(cookie_name()))
    if "none" in g.prompts and not g.session:
        raise B2CError("AADB2C90077", redirect_uri=request.args["redirect_uri"])
    g.grant = current_app.extensions["authorization_server"].get_consent_grant(end_user=g.account)
    journeys = {
        "signupsignin": sign_up_or_sign_in,
        "profileediting": edit_profile,
        "passwordreset": reset_password,
    }
    return journeys[g.user_flow.kind]()


def from_own_page():
    here = request.host_url.rstrip("/")
    return request.headers.get("Origin", here) == here


def _forced_error():
    if not tenant().faults.current().get("authorize", {}).get("error") or request.method != "GET":
        return None
    forced, g.forced = tenant().faults.take("authorize")["error"], True
    if "code" in forced:
        raise B2CError(forced["code"], redirect_uri=request.args["redirect_uri"])
    return go_back(request.args["redirect_uri"], with_state(list(forced.items())))


def sign_up_or_sign_in():
    step = request.args.get("step")
    if step == "createAccount":
        return sign_up()
    if g.session and "login" not in g.prompts and request.method == "GET" and not step:
        return finish()
    return sign_in(finish, may_sign_up=True)


def sign_in(proceed, may_sign_up=False):
    """Ask for e-mail and password; `proceed` answers once they are right."""
    if "none" in g.prompts:
        raise refusal("AADB2C90077")
    if request.args.get("step") == "forgotPassword":
        raise refusal("AADB2C90118")
    email = request.args.get("login_hint", "")
    problem = None
    if request.method == "POST":
        stop_if_cancelled()
        email = field("email")
        try:
            begin_session(tenant().directory.authenticate(email, request.form.get("password", "")))
            return with_cookie(proceed())
        except Refused as refused:
            problem = refused
    return page("sign_in.html", email=email, problem=problem, may_sign_up=may_sign_up)


def sign_up():
    journey = current_journey()
    if request.method == "POST":
        stop_if_cancelled()
        try:
            if verification_step(journey):
                return page("sign_up.html", journey=journey, values=request.form)
            account = Account(journey["email"], checked_password(journey), **attributes())
            begin_session(tenant().directory.add(account))
            g.new_user = True
            return with_cookie(finish())
        except Refused as refused:
            return page("sign_up.html", journey=journey, values=request.form, problem=refused)
    return page("sign_up.html", journey=journey, values={"email": request.args.get("login_hint", "")})


def reset_password():
    if "none" in g.prompts:
        raise refusal("AADB2C90077")
    journey = current_journey()
    if request.method == "POST":
        stop_if_cancelled()
        try:
            if not verification_step(journey) and "newPassword" in request.form:
                return with_cookie(_finish_reset(journey))
            if journey["verified"]:
                known_or_refused(journey)
        except Refused as refused:
            return page("reset.html", journey=journey, values=request.form, problem=refused)
    values = request.form or {"email": request.args.get("login_hint", "")}
    return page("reset.html", journey=journey, values=values)


def known_or_refused(journey):
    """The account whose address was proven; B2C sends the code first and says only then if there is none."""
    account = tenant().directory.find(journey["email"])
    if not account:
        journey.update(new_journey())
        raise Refused(UNKNOWN)
    if account.locked:
        raise Refused(LOCKED)
    return account


def _finish_reset(journey):
    password, account = checked_password(journey), known_or_refused(journey)
    account.password, account.tokens_valid_from = password, tenant().clock.now()
    begin_session(account)
    return finish()


def edit_profile():
    editing = request.args.get("step") == "edit"
    if not g.session or ("login" in g.prompts and not editing):
        return sign_in(lambda: redirect(same_url(step="edit"), 303))
    if "none" in g.prompts:
        raise refusal("AADB2C90077")
    stop_if_cancelled()
    # A sign-in form left open in another tab may arrive here too; it just gets the form.
    if "displayName" in request.form:
        try:
            for name, value in attributes().items():
                setattr(g.account, name, value)
            return finish()
        except Refused as refused:
            return page("edit.html", values=request.form, problem=refused)
    return page("edit.html", values={name: getattr(g.account, own) for name, own in ATTRIBUTES.items()})


def verification_step(journey):
    """Do what the Send, Verify and Change buttons ask for; False if none of them was pressed."""
    if "changeEmail" in request.form:
        journey.update(new_journey())
    elif "sendCode" in request.form:
        journey["verification"] = tenant().mailbox.send_code(field("email"))
        journey.update(email=field("email"), verified=False, note=SENT)
    elif "verifyCode" in request.form:
        if not journey["verification"]:
            raise Refused("Verification is necessary. Please click Send button.")
        journey["verification"].check(field("code"), tenant().clock.now())
        journey.update(verified=True, note=VERIFIED)
    else:
        return False
    return True


def checked_password(journey):
    if not journey["verified"]:
        raise Refused("Verification is necessary. Please click Send button.")
    check_new_password(request.form.get("newPassword", ""), request.form.get("reenterPassword", ""))
    return request.form["newPassword"]


def attributes():
    values = {own: field(name)[:256] for name, own in ATTRIBUTES.items()}
    if not values["display_name"]:
        raise Refused(REQUIRED)
    return values


def new_journey():
    return {"email": "", "verified": False, "verification": None, "note": None}


def current_journey():
    """The steps taken so far on this page; the form carries only the key."""
    journeys = tenant().journeys
    g.tx = request.form.get("tx") or secrets.token_urlsafe(16)
    journey = journeys.setdefault(g.tx, new_journey())
    journey["note"] = None
    if len(journeys) > KEPT_JOURNEYS:
        journeys.popitem(last=False)
    return journey


def field(name):
    return request.form.get(name, "").strip()


def stop_if_cancelled():
    if "cancel" in request.form:
        raise refusal("AADB2C90091")


def refusal(code):
    return B2CError(code, redirect_uri=g.grant.redirect_uri)


def begin_session(account):
    g.new_session_id = tenant().start_session(account)
    g.session, g.account = tenant().session(g.new_session_id)


def with_cookie(response):
    response.set_cookie(cookie_name(), g.new_session_id, httponly=True, samesite="Lax")
    return response


def finish():
    """Issue the code to whoever is signed in and go back to the app."""
    server = current_app.extensions["authorization_server"]
    return server.create_authorization_response(grant_user=(g.account, g.session), grant=g.grant)


def wanted_languages():
    """What the app asks for in `ui_locales`; where it says nothing, what the browser asks for."""
    asked = request.args.get("ui_locales", "").split()
    return asked or [tag for tag, quality in request.accept_languages if quality]


def page(template, problem=None, **values):
    lang, text = choose(wanted_languages())
    here = {"lang": lang, "t": text, "tx": g.get("tx"), "action": same_url(), "same_url": same_url}
    return make_response(render_template(template, problem=problem, user_flow=g.user_flow, **here, **values))
