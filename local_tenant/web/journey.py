"""A person's way through a user flow, from the checked authorization request to its answer."""

from dataclasses import dataclass

from flask import request
from flask.typing import ResponseReturnValue

from ..authorities.base import Address
from ..authorities.refusals import Reason, Refused
from ..model.accounts import Account
from ..model.grants import Grant, Session
from ..model.registrations import AppRegistration
from ..model.signing import half_hash
from ..state import TenantState
from .answer import Parameters, back_to_app, response_types, state_parameter
from .issue import issue_access_token, issue_id_token


@dataclass
class Journey:
    """`session` is that of the person who is signed in at the tenant, None as long as nobody is."""

    tenant: TenantState
    address: Address
    app: AppRegistration
    redirect_uri: str
    scopes: tuple[str, ...]
    prompts: list[str]
    session: Session | None
    new_session_id: str = ""
    new_user: bool = False
    forgot_password: bool = False  # and has set a new one in this user flow

    def needs_page(self) -> None:
        """Raise Refused when the app does not want any page to be shown."""
        if "none" in self.prompts:
            raise Refused(Reason.SIGN_IN_NEEDED)

    def start_session(self, account: Account) -> None:
        self.new_session_id, self.session = self.tenant.sessions.start(account)

    def finish(self) -> ResponseReturnValue:
        """Issue what the app asked for to the person who is signed in, and go back to the app."""
        if not self.session:
            raise Refused(Reason.SIGN_IN_NEEDED)
        self.session.client_ids.add(self.app.client_id)
        grant = self._grant(self.session)
        parameters = state_parameter()
        if request.args.get("client_info") == "1":
            parameters.append(("client_info", self.tenant.authority.client_info(grant)))
        parameters += self._issued(grant, self.session.account)
        return back_to_app(self.redirect_uri, parameters, self.tenant.faults.take("authorize"))

    def _grant(self, session: Session) -> Grant:
        authority, args = self.tenant.authority, request.args
        return Grant(
            user_flow=self.address.user_flow,
            client_id=self.app.client_id,
            redirect_uri=self.redirect_uri,
            scopes=self.scopes,
            nonce=args.get("nonce"),
            sub=session.account.sub,
            auth_time=session.auth_time,
            claims=self._claims(session),
            code_challenge=args.get("code_challenge"),
            code_challenge_method=args.get("code_challenge_method", "plain"),
            issued_at=self.tenant.clock.now(),
            contexts=authority.contexts_in(args.get("claims", "")),
            wants_auth_time="max_age" in args,
        )

    def _claims(self, session: Session) -> dict[str, object]:
        claims = self.tenant.authority.account_claims(session.account, session, new_user=self.new_user)
        if self.forgot_password and self.address.user_flow.resets_password:
            claims["isForgotPassword"] = True
        return claims

    def _issued(self, grant: Grant, account: Account) -> Parameters:
        """The code and tokens that `response_type` names (OpenID Connect Core, sections 3.2.2 and 3.3.2)."""
        tenant, types, issued, hashes = self.tenant, response_types(), Parameters(), dict[str, object]()
        scopes, access_token = tenant.authority.redeemed_scopes("", grant, account), None
        if "code" in types:
            code = tenant.codes.issue(grant, tenant.options.code_lifetime).value
            issued.append(("code", code))
            hashes["c_hash"] = half_hash(code)
        if "token" in types:
            access_token = issue_access_token(tenant, grant, scopes)
        if access_token:
            lifetime = str(tenant.options.access_token_lifetime)
            issued += [("access_token", access_token), ("token_type", "Bearer"), ("expires_in", lifetime)]
            issued.append(("scope", " ".join(scopes)))
            hashes["at_hash"] = half_hash(access_token)
        if "id_token" in types:
            id_token = issue_id_token(tenant, grant, scopes, access_token, hashes)
            issued += [("id_token", id_token)] if id_token is not None else []
        return issued
