"""What a tenant is set up with."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .accounts import Account
from .registrations import Apps, UserFlow, WebApi


@dataclass(frozen=True)
class TenantConfiguration:
    """A tenant of one kind: its names, and what is there from the start.

    `options` are those of `Options` that differ from their defaults.
    """

    kind: str
    name: str
    domain: str
    tenant_id: str
    apps: Apps
    user_flows: Sequence[UserFlow]
    apis: Sequence[WebApi]
    accounts: Sequence[Account]
    options: Mapping[str, object] = field(default_factory=dict)


def id_in(tenant_id: str, what: str) -> str:
    """The ID of something in this tenant, a GUID. It is always the same one."""
    return str(uuid.uuid5(uuid.UUID(tenant_id), what))
