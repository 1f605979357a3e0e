"""One request and its answer: what views know of it, its entry in the record, and its fault."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TypedDict, cast

from flask import Response, g, request

from ..authorities.base import Address
from ..authorities.refusals import Refused, ServiceError
from ..model.registrations import UserFlow
from ..model.steering import Fault, RequestEntry, changed
from ..state import TenantState
from .advice import ADVICE

PASSWORD_FIELDS = ("password", "newPassword", "reenterPassword")


class CookieAttributes(TypedDict):
    httponly: bool
    samesite: str
    secure: bool


@dataclass
class Exchange:
    """The request at hand.

    `endpoint` is its name in the record, `policy` the user flow as the request names it, and `fault` what a
    test wants done to the response.
    """

    tenant: TenantState
    endpoint: str
    policy: str = ""
    named_address: Address | None = None
    entry: RequestEntry | None = None
    fault: Fault = field(default_factory=dict)

    @property
    def address(self) -> Address:
        """The address of the user flow. Raises LookupError for a request that names none."""
        if self.named_address is None:
            raise LookupError(f"{request.path} names no user flow")
        return self.named_address

    @property
    def user_flow(self) -> UserFlow:
        return self.address.user_flow

    def add_to_record(self) -> None:
        self.entry = {
            "time": self.tenant.clock.now(),
            "endpoint": self.endpoint,
            "user_flow": self.named_address.user_flow.name if self.named_address else None,
            "method": request.method,
            "path": request.path,
            "query": request.args.to_dict(flat=False),
            "form": _without_passwords(request.form.to_dict(flat=False)),
            "headers": dict(request.headers),
            "status": None,
            "error": None,
            "error_code": None,
            "error_description": None,
            "advice": None,
        }
        self.tenant.record.add(self.entry)

    def note_refusal(self, refused: Refused) -> ServiceError:
        """Note a refusal in the record. Returns the error as the service words it."""
        error = self.tenant.authority.error_for(refused)
        self.note_error(error.text, error=error.error, code=error.code, advice=ADVICE.get(refused.reason))
        return error

    def note_error(
        self,
        description: str,
        *,
        error: str | None = None,
        code: str | None = None,
        advice: str | None = None,
    ) -> None:
        """Note in the record what was wrong with the request. The first note stays."""
        if self.entry and not self.entry["error_description"]:
            self.entry["error_description"] = description
            self.entry["error"], self.entry["error_code"], self.entry["advice"] = error, code, advice


def start_exchange(exchange: Exchange) -> None:
    g.exchange = exchange


def current_exchange() -> Exchange:
    """The exchange of the current request, which each app starts before anything else."""
    return cast(Exchange, g.exchange)


def cookie_attributes() -> CookieAttributes:
    """The session cookie's attributes. Over https, requests from other sites send it, as with B2C."""
    return {"httponly": True, "samesite": "None" if request.is_secure else "Lax", "secure": request.is_secure}


def apply_fault(leg: str) -> Response | None:
    """Apply the fault of this leg, if a test has set one. Returns the response that replaces the view's."""
    exchange = current_exchange()
    faults = exchange.tenant.faults
    exchange.fault = fault = faults.take(leg)
    if "delay" in fault:
        faults.delay(fault["delay"])
    if "hold" in fault:
        faults.hold(fault["hold"])
    if fault.get("reset"):
        exchange.note_error("A test asked for this: the connection was reset.")
        request.environ["local_tenant.reset_connection"]()
        return Response(status=204)
    if "status" in fault or "body" in fault:
        exchange.note_error("A test asked for this answer.")
        body = fault.get("body", "")
        content_type = fault.get("content_type", "text/html; charset=utf-8")
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, fault.get("status", 200), content_type=content_type)
    return None


def finish_exchange(response: Response) -> Response:
    """Date the response by the tenant's clock, apply the rest of the fault, and record the status.

    Accounts that the request has changed are saved before the answer leaves.
    """
    exchange = current_exchange()
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        exchange.tenant.save_accounts()
    response.date = datetime.fromtimestamp(exchange.tenant.clock.now(), timezone.utc)
    fault = exchange.fault
    if response.is_json and ("set" in fault or "drop" in fault):
        response.set_data(json.dumps(changed(response.get_json(), fault)))
    for name, value in fault.get("headers", {}).items():
        response.headers[name] = str(value)
    if exchange.entry:
        exchange.entry["status"] = response.status_code
    return response


def _without_passwords(form: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [""] * len(values) if name in PASSWORD_FIELDS else values for name, values in form.items()}
