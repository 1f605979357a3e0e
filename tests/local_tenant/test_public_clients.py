"""Apps without a secret: single-page apps and native apps."""

import pytest

from tests.local_tenant.visitor import App, Visitor

# RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def native(visitor: Visitor) -> App:
    return visitor.app("native")


def code(visitor: Visitor, app: App, redirect_uri: str = "") -> str:
    return visitor.code(
        client_id=app["client_id"],
        redirect_uri=redirect_uri or app["redirect_uris"][0],
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
    )


def test_a_native_app_needs_no_secret(visitor: Visitor, native: App) -> None:
    response = visitor.redeem(
        code(visitor, native),
        client_id=native["client_id"],
        client_secret=None,
        redirect_uri="http://localhost",
        code_verifier=VERIFIER,
    )
    assert response.status_code == 200, response.text
