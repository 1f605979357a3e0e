"""What a user is called, and how claims are shown."""

from datetime import datetime, timezone

import pytest

from signin.oidc import described, display_name, email, identity_provider

GUID = "44444444-4444-4444-4444-444444444444"


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (None, ""),
        ({"name": "Ada Lovelace", "email": "ada@example.com"}, "Ada Lovelace"),
        ({"name": "unknown", "given_name": "Ada", "family_name": "Lovelace"}, "Ada Lovelace"),
        ({"name": "  ", "given_name": "Ada"}, "Ada"),
        ({"name": ["Ada"], "email": "ada@example.com"}, "ada@example.com"),
        ({"emails": ["ada@example.com", "second@example.com"]}, "ada@example.com"),
        ({"emails": "ada@example.com"}, "(no name)"),
        ({"preferred_username": "ada"}, "ada"),
        ({"preferred_username": f"{GUID}@contoso.onmicrosoft.com"}, "(no name)"),
        ({"name": GUID, "email": "ada@example.com"}, "ada@example.com"),
        ({"name": GUID.upper()}, "(no name)"),
        ({"sub": "some-sub"}, "(no name)"),
        ({"upn": "ada@contoso.com"}, "ada@contoso.com"),
        ({"nickname": "ada", "email": "ada@example.com"}, "ada"),
        ({"emails": ["", "ada@example.com"]}, "ada@example.com"),
        ({"emails": [None, GUID, "ada@example.com"]}, "ada@example.com"),
        ({"name": "Ada unknown"}, "Ada"),
        ({"name": "unknown unknown", "email": "ada@example.com"}, "ada@example.com"),
        ({"given_name": "unknown", "family_name": "unknown"}, "(no name)"),
        ({"given_name": "unknown", "family_name": "Lovelace"}, "Lovelace"),
        ({"name": GUID.replace("-", "")}, "(no name)"),
        ({"name": f"{{{GUID}}}"}, "(no name)"),
        ({"upn": f"cpim_{GUID}@contoso.onmicrosoft.com"}, "(no name)"),
        ({"name": "\u200b\ufeff\u2060", "email": "ada@example.com"}, "ada@example.com"),
        ({"name": "\u3164\u00a0\u2800"}, "(no name)"),
        ({"name": "م\u200cریم"}, "م\u200cریم"),  # Persian uses zero-width characters
        ({"name": "a" * 500}, "a" * 80),
    ],
)
def test_display_name(claims: dict[str, object] | None, expected: str) -> None:
    assert display_name(claims) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"email": "ada@example.com"}, "ada@example.com"),
        ({"emails": [None, "ada@example.com"]}, "ada@example.com"),
        ({"preferred_username": "ada@example.com"}, "ada@example.com"),
        ({"preferred_username": "ada"}, ""),
        ({"preferred_username": f"{GUID}@contoso.onmicrosoft.com"}, ""),
        ({"email": {"a": 1}}, ""),
        ({"preferred_username": f"cpim_{GUID}@contoso.onmicrosoft.com"}, ""),
    ],
)
def test_email(claims: dict[str, object], expected: str) -> None:
    assert email(claims) == expected


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("exp", 10**30, "1" + "0" * 30),
        ("roles", ["admin", "editor"], "admin, editor"),
        ("roles", [], ""),
        ("address", {"city": "Köln"}, '{"city": "Köln"}'),
        ("email_verified", True, "true"),
    ],
)
def test_claim_as_text(name: str, value: object, shown: str) -> None:
    [claim] = described({name: value})
    assert claim.value == shown
    assert claim.meaning
    assert claim.time is None


def test_claim_as_time() -> None:
    [claim] = described({"exp": 0})
    assert claim.time == datetime(1970, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("idp", "expected"),
    [
        (None, ""),
        ("", ""),
        ("localAccountAuthentication", ""),
        ({"a": 1}, ""),
        ("google.com", "Google"),
        ("https://appleid.apple.com", "Apple"),
        ("live.com", "Microsoft (personal account)"),
        (f"https://sts.windows.net/{GUID}/", "Microsoft (work or school account)"),
        ("https://login.contoso.com/saml", "login.contoso.com"),
        ("notgoogle.com", "notgoogle.com"),
        ("https://[half", "https://[half"),
    ],
)
def test_identity_provider_in_plain_words(idp: object, expected: str) -> None:
    assert identity_provider({"idp": idp}) == expected
