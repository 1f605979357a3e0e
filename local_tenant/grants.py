"""Authlib's authorization server, taught what B2C does differently."""

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, OpenIDToken
from flask import g, request

from . import tokens
from .current import tenant
from .errors import B2CError, describe
from .model import Grant
from .redirects import go_back, with_state
from .scopes import granted, resource_of


class Server(AuthorizationServer):
    """Answers errors of the token endpoint in B2C's layout."""

    def handle_error_response(self, request, error):
        if isinstance(error, UnsupportedGrantTypeError):
            error = B2CError("AADB2C90086", error.grant_type)
        text = error.text if isinstance(error, B2CError) else f"AADB2C90085: {error.get_error_description()}"
        body = {"error": error.error, "error_description": describe(text, tenant().clock.now())}
        return self.handle_response(400, body, error.get_headers())

    def create_authorization_response(self, request=None, grant_user=None, grant=None):
        # get_consent_grant has validated this very request already.
        return grant.create_authorization_response(grant.redirect_uri, grant_user)


class TokenEndpoint:
    """What both grants share: client secret errors, binding to the user flow, and the shape of the answer."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_post", "client_secret_basic")

    def authenticate_token_endpoint_client(self):
        form, header = self.request.form, self.request.headers.get("Authorization", "")
        client_id = form.get("client_id")
        if not header and not client_id:
            raise B2CError("AADB2C90083", "client_id")
        if client_id and not self.server.query_client(client_id):
            raise B2CError("AADB2C90018", client_id, tenant().guid)
        if not header and not form.get("client_secret"):
            raise B2CError("AADB2C90079")
        try:
            return super().authenticate_token_endpoint_client()
        except InvalidClientError as error:
            raise B2CError("AADB2C90081") from error

    def usable(self, ticket):
        """The ticket, if it may be redeemed here and now; raises B2CError."""
        now = tenant().clock.now()
        if not ticket:
            raise B2CError("AADB2C90090")
        if ticket.grant.user_flow != g.user_flow:
            raise B2CError("AADB2C90088", ticket.grant.user_flow.name, g.user_flow.name)
        if now > ticket.expires_at:
            times = [int(now), int(ticket.issued_at), ticket.window, int(ticket.expires_at)]
            raise B2CError("AADB2C90080", *times)
        return ticket

    def holder(self, ticket):
        """The account behind the ticket; raises B2CError if it is gone or its grants were revoked."""
        account = tenant().directory.by_sub(ticket.grant.sub)
        if not account:
            raise B2CError("AADB2C90128")
        if account.locked or ticket.grant.issued_at < account.tokens_valid_from:
            raise B2CError("AADB2C90129")
        return account

    def generate_token(self, user=None, scope=None, **_):
        ticket = self.request.authorization_code or self.request.refresh_token
        options = tenant().options
        reuse = options.code_reuse if self.request.authorization_code else options.refresh_token_reuse
        if not ticket.redeem() and not reuse:
            raise B2CError("AADB2C90129")
        scopes = tuple(scope.split())
        token = {"scope": scope, "grant": ticket.grant}
        if resource_of(tenant(), scopes)[0]:
            token["access_token"] = tokens.access_token(tenant(), ticket.grant, scopes)
        if "offline_access" in scopes:
            lifetime = tenant().options.refresh_token_lifetime
            issued = tenant().refresh_tokens.issue(ticket.grant, lifetime, "sliding window ")
            token["refresh_token"] = issued.value
        return token

    def create_token_response(self):
        status, token, headers = super().create_token_response()
        asked = self.request.form.get("client_info") == "1"
        scopes = tuple(token["scope"].split())
        return status, tokens.response(tenant(), token["grant"], scopes, token, asked), headers


class CodeGrant(TokenEndpoint, AuthorizationCodeGrant):
    def create_authorization_response(self, redirect_uri, grant_user):
        self.request.user = grant_user
        issued = self.save_authorization_code(None, self.request)
        params = [("code", issued.value)]
        if request.args.get("client_info") == "1":
            params.insert(0, ("client_info", tokens.client_info(tenant(), issued.grant)))
        return go_back(redirect_uri, with_state(params, first=True))

    def save_authorization_code(self, code, request):
        account, session = request.user
        wanted = request.payload.data
        grant = Grant(
            user_flow=g.user_flow,
            client_id=request.payload.client_id,
            redirect_uri=request.payload.redirect_uri,
            scopes=granted(tenant(), request.scope),
            nonce=wanted.get("nonce"),
            sub=account.sub,
            auth_time=session.auth_time,
            claims=account.claims() | ({"newUser": True} if g.get("new_user") else {}),
            code_challenge=wanted.get("code_challenge"),
            code_challenge_method=wanted.get("code_challenge_method"),
            issued_at=tenant().clock.now(),
        )
        return tenant().codes.issue(grant, tenant().options.code_lifetime)

    def validate_token_request(self):
        for name in ("code", "redirect_uri"):
            if not self.request.form.get(name):
                raise B2CError("AADB2C90083", name)
        super().validate_token_request()

    def query_authorization_code(self, code, client):
        ticket = self.usable(tenant().codes.find(code))
        redirect_uri = self.request.form["redirect_uri"]
        if redirect_uri != ticket.grant.redirect_uri:
            raise B2CError("AADB2C90006", redirect_uri, client.client_id)
        return ticket

    def delete_authorization_code(self, authorization_code):
        """Nothing to do: Ticket.redeem has marked it."""

    def authenticate_user(self, authorization_code):
        return self.holder(authorization_code)


class RefreshGrant(TokenEndpoint, RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def validate_token_request(self):
        if not self.request.form.get("refresh_token"):
            raise B2CError("AADB2C90083", "refresh_token")
        super().validate_token_request()

    def authenticate_refresh_token(self, refresh_token):
        return self.usable(tenant().refresh_tokens.find(refresh_token))

    def _validate_token_scope(self, token):
        wanted = granted(tenant(), self.request.payload.scope or "")
        beyond = [name for name in wanted if name not in token.grant.scopes]
        if beyond:
            raise B2CError("AADB2C90117", beyond[0])

    def authenticate_user(self, refresh_token):
        return self.holder(refresh_token)

    def issue_token(self, user, refresh_token):
        wanted = granted(tenant(), self.request.payload.scope or refresh_token.get_scope())
        return self.generate_token(user=user, scope=" ".join(wanted))

    def revoke_old_credential(self, refresh_token):
        """Nothing to do: Ticket.redeem has marked it."""


class Pkce(CodeChallenge):
    def validate_code_challenge(self, grant, redirect_uri):
        try:
            super().validate_code_challenge(grant, redirect_uri)
        except InvalidRequestError as error:
            raise B2CError("AADB2C90184", redirect_uri=redirect_uri) from error

    def validate_code_verifier(self, grant, result):
        if not tenant().options.pkce:
            return
        try:
            super().validate_code_verifier(grant, result)
        except InvalidGrantError as error:
            raise B2CError("AADB2C90182") from error
        except InvalidRequestError as error:
            raise B2CError("AADB2C90183") from error


class IdToken(OpenIDToken):
    """Puts the ID token into the answer when `openid` was granted."""

    def process_token(self, grant, response):
        token = response[1]
        if "openid" in token["scope"].split():
            token["id_token"] = tokens.id_token(tenant(), token["grant"], token.get("access_token"))
        return token


class IdTokenForCode(IdToken, OpenIDCode):
    def exists_nonce(self, nonce, request):
        return False


def make_server(app):
    server = Server(app, app.extensions["tenant"].query_client, lambda token, request: None)
    server.register_grant(CodeGrant, [Pkce(required=False), IdTokenForCode()])
    server.register_grant(RefreshGrant, [IdToken()])
    return server
