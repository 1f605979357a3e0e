"""The settings of profile editing through Microsoft Graph."""

import pytest

import app_config
from tests.app.test_settings import GOOD

ENTRA = {
    name: value for name, value in GOOD.items() if name not in ("B2C_TENANT_NAME", "SIGNUPSIGNIN_USER_FLOW")
} | {"AUTHORITY": "https://contoso.ciamlogin.com"}


def test_profile_editing_is_off_by_default_and_graph_is_the_public_one() -> None:
    settings = app_config.read(ENTRA)

    assert settings.profile_scope == ()
    assert settings.graph_url == "https://graph.microsoft.com/v1.0"


def test_profile_editing_takes_a_scope() -> None:
    assert app_config.read(ENTRA | {"PROFILE_SCOPE": "User.ReadWrite"}).profile_scope == ("User.ReadWrite",)


@pytest.mark.parametrize(
    "settings, message",
    [
        (GOOD | {"PROFILE_SCOPE": "User.ReadWrite"}, "PROFILE_SCOPE has an effect only with AUTHORITY"),
        (
            ENTRA | {"PROFILE_SCOPE": "api://tasks/read api://notes/read"},
            "PROFILE_SCOPE names scopes of more than one API",
        ),
        (ENTRA | {"GRAPH_URL": "https://graph.microsoft.us/v1.0"}, "GRAPH_URL has an effect only with"),
        (
            GOOD | {"GRAPH_URL": "https://graph.microsoft.us/v1.0"},
            "GRAPH_URL has an effect only with PROFILE_SCOPE",
        ),
        (
            {
                **ENTRA,
                "AUTHORITY": "",
                "OIDC_AUTHORITY": "https://login.example.com",
                "PROFILE_SCOPE": "edit",
            },
            "PROFILE_SCOPE has an effect only with AUTHORITY",
        ),
        (ENTRA | {"PROFILE_SCOPE": "openid"}, "PROFILE_SCOPE is malformed"),
        (ENTRA | {"GRAPH_URL": "http://graph.example/v1.0"}, "GRAPH_URL is malformed"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(app_config.ConfigError, match=message):
        app_config.read(settings)
