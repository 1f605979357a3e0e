"""The shape of Entra External ID, reached by an own URL domain: its issuer is on another host."""

from ..model.accounts import Account
from .base import Address, Authority
from .microsoft import Microsoft


class ExternalID(Microsoft):
    """An external tenant with a sign-up and sign-in user flow, where an administrator has consented."""

    name = "Microsoft Entra External ID"
    PROMPTS = Authority.PROMPTS | {"create"}
    USER_FLOW = ("sign-up-and-sign-in", "sign_up_or_sign_in")
    GRAPH_GRANTED = frozenset({"User.Read", "User.ReadWrite"})
    DOMAIN = "localtenant.onmicrosoft.com"
    resets_password = "page"

    @property
    def host_names(self) -> tuple[str, ...]:
        names = (self.domain.partition(".")[0], self.guid)
        return tuple(f"{name}.ciamlogin.com" for name in names)

    def issuer(self, tenant: str) -> str:
        return f"https://{tenant}.ciamlogin.com/{tenant}/v2.0"

    def _key_issuer(self, address: Address) -> None:
        return None

    def settings(self) -> dict[str, str]:
        return {
            **super().settings(),
            "AUTHORITY": f"{self.origins.back_channel}/{self.guid}",
            "AUTHORITY_KIND": "external-id",
        }

    def _username(self, account: Account) -> str:
        return f"{account.sub}@{self.domain}" if account.federated else account.email

    def _identity_provider(self, account: Account) -> str | None:
        return "google.com" if account.federated else None

    def _has_login_hint(self) -> bool:
        return False
