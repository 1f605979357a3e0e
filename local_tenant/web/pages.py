"""The pages that people see: sign-in, sign-up, profile editing, password reset, mailbox."""

from collections.abc import Callable, Sequence
from urllib.parse import quote

from flask import current_app, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.refusals import Reason, Refused
from ..model.accounts import LOCKED, REQUIRED, Account, FormError, check_new_password
from ..model.attributes import REQUIRED_ATTRIBUTE, Attribute, attribute_called
from ..model.mailbox import EmailProof
from ..state import TenantState
from .answer import answer_refusal, forced_error
from .authorize import begin_journey, check_redirect_uri, find_app
from .endpoints import error_page
from .exchange import current_exchange
from .journey import Journey
from .same_origin import is_from_own_page
from .sessions import remember_session

UNKNOWN = "An account could not be found for the provided user ID."

LONGEST_ATTRIBUTE = 256

# The sign-in page speaks these languages. All other pages are in English.
LANGUAGES = {
    "en": {
        "title": "Sign in",
        "lead": "Sign in with your email address",
        "email": "Email Address",
        "password": "Password",
        "forgot": "Forgot your password?",
        "next": "Sign in",
        "cancel": "Cancel",
        "new_here": "Don't have an account?",
        "sign_up": "Sign up now",
        "error": "Error: ",
    },
    "fr": {
        "title": "Connexion",
        "lead": "Connectez-vous avec votre adresse e-mail",
        "email": "Adresse e-mail",
        "password": "Mot de passe",
        "forgot": "Mot de passe oublié ?",
        "next": "Se connecter",
        "cancel": "Annuler",
        "new_here": "Vous n'avez pas de compte ?",
        "sign_up": "Inscrivez-vous maintenant",
        "error": "Erreur : ",
    },
}


def mailbox() -> ResponseReturnValue:
    messages = current_exchange().tenant.mailbox.messages
    return render_template("mailbox.html", messages=messages[::-1])


def favicon() -> ResponseReturnValue:
    return current_app.send_static_file("favicon.svg")


def authorize() -> ResponseReturnValue:
    """Lead the person through the user flow, page by page, and back to the app."""
    exchange = current_exchange()
    tenant = exchange.tenant
    if request.method == "POST" and not is_from_own_page():
        return error_page(tenant, "The form was sent from another site.", 403)
    app = find_app(tenant)
    redirect_uri = check_redirect_uri(tenant, app)
    if answer := forced_error(tenant, redirect_uri):
        return answer
    pages = {
        "sign_up_or_sign_in": sign_up_or_sign_in,
        "sign_up": sign_up_only,
        "sign_in": sign_up_or_sign_in,
        "edit_profile": edit_profile,
        "reset_password": reset_password,
        "ropc": no_pages,
    }
    try:
        journey = begin_journey(tenant, exchange.address, app, redirect_uri)
        response = make_response(pages[exchange.user_flow.kind](journey))
    except Refused as refused:
        return answer_refusal(redirect_uri, refused)
    if journey.new_session_id:
        remember_session(tenant, exchange.user_flow, app.client_id, response, journey.new_session_id)
    return response


# --- user flows


def sign_up_or_sign_in(journey: Journey) -> ResponseReturnValue:
    step, authority = request.args.get("step"), journey.tenant.authority
    asks_for_sign_up = "create" in journey.prompts and not step
    may_sign_up = authority.may_sign_up and journey.address.user_flow.kind == "sign_up_or_sign_in"
    if may_sign_up and (step == "createAccount" or asks_for_sign_up):
        return sign_up(journey)
    if _resets_password(journey) == "page" and step == "forgotPassword":
        return reset_password(journey)
    if journey.session and step == "consent":
        return consent(journey)
    may_ask = authority.has_account_picker and "select_account" in journey.prompts
    if journey.session and may_ask and (not step or step == "pickAccount"):
        return pick_account(journey)
    if journey.session and "login" not in journey.prompts and request.method == "GET" and not step:
        return finish(journey)
    return sign_in(journey, lambda: finish(journey), may_sign_up=may_sign_up)


def sign_up_only(journey: Journey) -> ResponseReturnValue:
    if journey.session and "login" not in journey.prompts and request.method == "GET":
        return finish(journey)
    return sign_up(journey)


def no_pages(journey: Journey) -> ResponseReturnValue:
    """A user flow for resource owner password credentials has the token endpoint alone."""
    raise Refused(Reason.RESPONSE_TYPE_UNSUPPORTED, value=request.args["response_type"])


def finish(journey: Journey) -> ResponseReturnValue:
    """Go back to the app, or first to the page where the person consents to what the app asks for."""
    if not journey.session:
        raise Refused(Reason.SIGN_IN_NEEDED)
    authority, account = journey.tenant.authority, journey.session.account
    authority.check_account(account, journey.address, journey.app.client_id)
    missing = authority.scopes_to_consent(account, journey.scopes, journey.app.client_id)
    if not missing and ("consent" not in journey.prompts or not authority.has_account_picker):
        return journey.finish()
    if "none" in journey.prompts:
        raise Refused(Reason.CONSENT_NEEDED, client_id=journey.app.client_id)
    return render_template(
        "consent.html", account=account, scopes=missing or journey.scopes, action=_this_page(step="consent")
    )


def consent(journey: Journey) -> ResponseReturnValue:
    _raise_if_cancelled()
    if not journey.session or "accept" not in request.form:
        return finish(journey)
    authority, account = journey.tenant.authority, journey.session.account
    authority.check_account(account, journey.address, journey.app.client_id)
    account.consents += authority.scopes_to_consent(account, journey.scopes, journey.app.client_id)
    return journey.finish()


def pick_account(journey: Journey) -> ResponseReturnValue:
    if "account" in request.form:
        return finish(journey)
    return render_template(
        "pick_account.html",
        title="Pick an account",
        session=journey.session,
        other=_this_page(step="signIn"),
        action=_this_page(step="pickAccount"),
    )


def sign_in(
    journey: Journey, proceed: Callable[[], ResponseReturnValue], *, may_sign_up: bool = False
) -> ResponseReturnValue:
    """Ask for e-mail address and password. `proceed` answers once they are right."""
    journey.needs_page()
    resets_password = _resets_password(journey)
    if resets_password == "app" and request.args.get("step") == "forgotPassword":
        raise Refused(Reason.PASSWORD_FORGOTTEN)
    email, error = request.args.get("login_hint", ""), None
    if request.method == "POST":
        _raise_if_cancelled()
        email = _field("email")
        try:
            account = journey.tenant.accounts.authenticate(email, request.form.get("password", ""))
        except FormError as form_error:
            error = form_error
        else:
            journey.start_session(account)
            return proceed()
    return _page(
        "sign_in.html", error, email=email, may_sign_up=may_sign_up, resets_password=bool(resets_password)
    )


def sign_up(journey: Journey) -> ResponseReturnValue:
    journey.needs_page()
    tenant, error, attributes = journey.tenant, None, _attributes(journey)
    proof = tenant.email_proofs.find_or_begin(request.form.get("tx", ""))
    if request.method == "POST":
        _raise_if_cancelled()
        try:
            if not _pressed_proof_button(tenant, proof):
                password = _checked_password(proof)
                account = Account(proof.email, password)
                _fill_in_attributes(account, attributes)
                tenant.accounts.add(account)
                journey.start_session(account)
                journey.new_user = True
                return finish(journey)
        except FormError as form_error:
            error = form_error
    values = request.form or {"email": request.args.get("login_hint", "")}
    return _page("sign_up.html", error, proof=proof, values=values, attributes=attributes)


def reset_password(journey: Journey) -> ResponseReturnValue:
    journey.needs_page()
    tenant, error = journey.tenant, None
    proof = tenant.email_proofs.find_or_begin(request.form.get("tx", ""))
    if request.method == "POST":
        _raise_if_cancelled()
        try:
            if not _pressed_proof_button(tenant, proof) and "newPassword" in request.form:
                password, account = _checked_password(proof), _proven_account(tenant, proof)
                account.password, account.tokens_valid_from = password, tenant.clock.now()
                journey.start_session(account)
                journey.forgot_password = True
                return finish(journey)
            if proof.verified:
                _proven_account(tenant, proof)
        except FormError as form_error:
            error = form_error
    values = request.form or {"email": request.args.get("login_hint", "")}
    return _page("reset.html", error, proof=proof, values=values)


def edit_profile(journey: Journey) -> ResponseReturnValue:
    form_is_open = request.args.get("step") == "edit"
    if not journey.session or ("login" in journey.prompts and not form_is_open):
        return sign_in(journey, lambda: redirect(_this_page(step="edit"), 303))
    journey.needs_page()
    _raise_if_cancelled()
    account, error, attributes = journey.session.account, None, _attributes(journey)
    values = {attribute.name: account.value_of(attribute) for attribute in attributes}
    # A sign-in form left open in another tab is sent here as well. It gets the form for editing.
    if any(attribute.name in request.form for attribute in attributes):
        try:
            _fill_in_attributes(account, attributes)
            return journey.finish()
        except FormError as form_error:
            error, values = form_error, request.form.to_dict()
    return _page("edit.html", error, values=values, attributes=attributes)


# --- parts of the forms


def _pressed_proof_button(tenant: TenantState, proof: EmailProof) -> bool:
    """Do what the buttons Send, Verify and Change ask for. Returns whether one of them was pressed."""
    proof.note = ""
    if "changeEmail" in request.form:
        proof.start_over()
    elif "sendCode" in request.form:
        proof.send_code(tenant.mailbox, _field("email"))
    elif "verifyCode" in request.form:
        proof.check_code(_field("code"), tenant.clock.now())
    else:
        return False
    return True


def _checked_password(proof: EmailProof) -> str:
    proof.require()
    password = request.form.get("newPassword", "")
    check_new_password(password, request.form.get("reenterPassword", ""))
    return password


def _attributes(journey: Journey) -> list[Attribute]:
    """The attributes that the forms of this user flow collect."""
    return [attribute_called(name) for name in journey.address.user_flow.collects]


def _fill_in_attributes(account: Account, attributes: Sequence[Attribute]) -> None:
    """Take the attributes of the account from the form. Raises FormError."""
    for attribute in attributes:
        if attribute.name == REQUIRED_ATTRIBUTE and not _field(attribute.name):
            raise FormError(REQUIRED, attribute.name)
    for attribute in attributes:
        account.change(attribute, _field(attribute.name)[:LONGEST_ATTRIBUTE])


def _resets_password(journey: Journey) -> str:
    """Where a forgotten password is reset, as in `Authority.resets_password`."""
    return "page" if journey.address.user_flow.resets_password else journey.tenant.authority.resets_password


def _proven_account(tenant: TenantState, proof: EmailProof) -> Account:
    """The account whose address was proven. B2C sends the code first and says only then if there is none."""
    account = tenant.accounts.find(proof.email)
    if not account:
        proof.start_over()
        raise FormError(UNKNOWN, "email")
    if account.locked:
        raise FormError(LOCKED, "email")
    return account


def _field(name: str) -> str:
    return request.form.get(name, "").strip()


def _raise_if_cancelled() -> None:
    if "cancel" in request.form:
        raise Refused(Reason.CANCELLED)


# --- answers


def _this_page(**changes: str) -> str:
    """The path and query of the current request with some parameters set."""
    pairs = [(name, value) for name, value in request.args.items(multi=True) if name not in changes]
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in [*pairs, *changes.items()]
    )
    return f"{request.path}?{query}"


def _page(template: str, error: FormError | None, **values: object) -> ResponseReturnValue:
    if error:
        current_exchange().note_error(str(error))
    language = _language()
    texts = LANGUAGES[language] if template == "sign_in.html" else LANGUAGES["en"]
    lang = language if template == "sign_in.html" else "en"
    return render_template(template, error=error, lang=lang, t=texts, this_page=_this_page, **values)


def _language() -> str:
    """The language that the app asks for, or else the user flow's, or else the browser's.

    `mkt` is Microsoft's own parameter for it. English if the page does not speak it.
    """
    address = current_exchange().named_address
    by_user_flow = address.user_flow.language if address else ""
    asked = request.args.get("ui_locales") or request.args.get("mkt") or by_user_flow
    preferred = asked.split() if asked else [tag for tag, quality in request.accept_languages if quality]
    tags = [tag.partition("-")[0].lower() for tag in preferred]
    return next((tag for tag in tags if tag in LANGUAGES), "en")
