"""The attributes of a person that user flows collect, and the claims that they return.

Source: Microsoft Learn, "User profile attributes" and "Define custom attributes".
"""

from dataclasses import dataclass

CUSTOM_PREFIX = "extension_"  # of custom attributes, in Microsoft Graph and in tokens


@dataclass(frozen=True)
class Attribute:
    """An attribute that every tenant has.

    `name` is that of Microsoft Graph, and of the field in the forms. `member` is the member of an account.
    """

    name: str
    member: str
    claim: str
    label: str
    autocomplete: str = "off"


ATTRIBUTES = {
    attribute.name: attribute
    for attribute in (
        Attribute("displayName", "display_name", "name", "Display Name", "name"),
        Attribute("givenName", "given_name", "given_name", "Given Name", "given-name"),
        Attribute("surname", "surname", "family_name", "Surname", "family-name"),
        Attribute("jobTitle", "job_title", "jobTitle", "Job Title", "organization-title"),
        Attribute("streetAddress", "street_address", "streetAddress", "Street Address", "street-address"),
        Attribute("postalCode", "postal_code", "postalCode", "Postal Code", "postal-code"),
        Attribute("city", "city", "city", "City", "address-level2"),
        Attribute("state", "state", "state", "State/Province", "address-level1"),
        Attribute("country", "country", "country", "Country/Region", "country-name"),
    )
}
REQUIRED_ATTRIBUTE = "displayName"  # all others may stay empty
DEFAULT_COLLECTS = ("displayName", "givenName", "surname", "city")
# What a user flow can return besides attributes.
OTHER_CLAIMS = ("oid", "emails", "newUser", "isForgotPassword")
CLAIMS = (*(attribute.claim for attribute in ATTRIBUTES.values()), *OTHER_CLAIMS)


def attribute_called(name: str) -> Attribute:
    """The attribute with this name. A custom attribute is kept among the claims of the account."""
    return ATTRIBUTES.get(name) or Attribute(name, "", name, name.removeprefix(CUSTOM_PREFIX))
