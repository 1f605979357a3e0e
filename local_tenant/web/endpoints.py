"""Metadata, keys, and the page for errors."""

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue

from ..authorities.refusals import Reason, Refused
from ..state import TenantState
from .exchange import current_exchange


def discovery() -> ResponseReturnValue:
    exchange = current_exchange()
    return jsonify(exchange.tenant.authority.metadata(exchange.address))


def keys() -> ResponseReturnValue:
    exchange = current_exchange()
    return jsonify(exchange.tenant.authority.key_set(exchange.tenant.keys, exchange.address))


def unknown_authority(tenant: TenantState) -> ResponseReturnValue:
    """The answer to a request that names a tenant or user flow which is not there."""
    exchange, authority = current_exchange(), tenant.authority
    name = exchange.policy or request.path.strip("/").partition("/")[0]
    error = exchange.note_refusal(Refused(Reason.AUTHORITY_UNKNOWN, name=name, tenant=authority.guid))
    if exchange.endpoint == "discovery" and (answer := authority.metadata_error(error)):
        return jsonify(answer[0]), answer[1]
    return error_page(tenant, error.text, 404)


def error_page(tenant: TenantState, text: str, status: int = 400) -> ResponseReturnValue:
    """The page for errors that cannot go back to the app."""
    current_exchange().note_error(text)
    return render_template("error.html", lines=tenant.authority.error_lines(text)), status
