"""The shape of Entra ID, for an app of one tenant and for an app of many.

Source: Microsoft Learn, "Access tokens in the Microsoft identity platform", "Validate the issuer".
"""

from ..model.accounts import Account
from ..model.grants import Grant
from ..model.signing import KeyRing, SigningKey
from .base import Address
from .microsoft import PERSONAL_TENANT, Microsoft
from .refusals import Reason, Refused

TEMPLATE = "{tenantid}"
MANY_TENANTS = ("organizations", "common", "consumers")
OTHER_TENANT = "0b0b0b0b-2222-4222-8222-222222222222"  # of another organization
PASSWORD = "Try-it-0ut"


class EntraID(Microsoft):
    """One tenant of an organization. The app is registered for its accounts only."""

    name = "Microsoft Entra ID"
    USER_FLOW = ("sign-in", "sign_in")
    GRAPH_GRANTED = frozenset({"User.Read"})
    DOMAIN = "localtenant.example"
    may_sign_up = False

    def issuer(self, tenant: str) -> str:
        return f"{self.origins.back_channel}/{tenant}/v2.0"

    def _is_known(self, segment: str) -> bool:
        return super()._is_known(segment) or segment in MANY_TENANTS

    def metadata_issuer(self, segment: str) -> str:
        if segment == "consumers":
            return self.issuer(PERSONAL_TENANT)
        return self.issuer(TEMPLATE if segment in MANY_TENANTS else self.guid)

    def check_app(self, address: Address, client_id: str) -> None:
        if address.segment in MANY_TENANTS:
            raise Refused(Reason.ONE_TENANT_APP, client_id=client_id)

    def settings(self) -> dict[str, str]:
        return {
            **super().settings(),
            "AUTHORITY": f"{self.origins.back_channel}/{self.guid}",
            "AUTHORITY_KIND": "entra-id",
        }


class EntraIDManyTenants(EntraID):
    """The app is registered for accounts of any organization, and for personal accounts.

    Each account signs in to its home tenant, whichever that is.
    """

    def _segments(self) -> tuple[str, ...]:
        return (*MANY_TENANTS, self.guid)

    @classmethod
    def more_accounts(cls) -> list[Account]:
        return [
            Account("grace@fabrikam.example", PASSWORD, "Grace Fabrikam", tenant=OTHER_TENANT),
            Account("alan@outlook.example", PASSWORD, "Alan Personal", tenant=PERSONAL_TENANT),
        ]

    def check_app(self, address: Address, client_id: str) -> None:
        """The app can be used at each address."""

    def _is_home(self, tenant: str, segment: str) -> bool:
        if segment == "common":
            return True
        if segment == "organizations":
            return tenant != PERSONAL_TENANT
        return tenant == (PERSONAL_TENANT if segment == "consumers" else self.guid)

    def key_set(self, keys: KeyRing, address: Address) -> dict[str, list[dict[str, object]]]:
        key_set = super().key_set(keys, address)
        if address.segment in MANY_TENANTS:
            key_set["keys"].append(self._jwk(keys.personal, self.issuer(PERSONAL_TENANT)))
        return key_set

    def _key_issuer(self, address: Address) -> str:
        return self.issuer(TEMPLATE if address.segment in MANY_TENANTS else self.guid)

    def signing_key(self, keys: KeyRing, grant: Grant) -> SigningKey:
        return keys.personal if grant.claims["tid"] == PERSONAL_TENANT else keys.current

    def settings(self) -> dict[str, str]:
        return {
            **super().settings(),
            "AUTHORITY": f"{self.origins.back_channel}/organizations",
            "ALLOWED_TENANTS": self.guid,
        }
