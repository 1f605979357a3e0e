"""Carries a plan out, one request after the other."""

from collections.abc import Callable
from typing import Any

from .errors import GraphRefused, GraphUnavailable
from .graph import Graph, Json, literal
from .plan import REFERENCE, SECRET, Plan, Step

Save = Callable[[dict[str, Json], str | None], None]
ALREADY_THERE = 409


def carry_out(
    graph: Graph,
    plan: Plan,
    *,
    save: Save = lambda facts, secret: None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Send the plan's requests in order. Returns the objects by the names that the plan gives them.

    `save` is called with these objects and a new client secret as soon as there is one, because Graph never
    shows it again. Before a former secret is removed, it is called without one. Raises RegistrationError.
    What was made until then stays, and a new plan goes on from there.
    """
    facts = dict(plan.facts)
    saved = False
    for step in plan.steps:
        if step.needs_saved and not saved:
            save(facts, None)
            saved = True
        say(step.what)
        answer = _send(graph, step, facts)
        if step.gives == SECRET:
            save(facts, str(answer["secretText"]))
            saved = True
        elif step.gives:
            facts[step.gives] = answer
    return facts


def _send(graph: Graph, step: Step, facts: dict[str, Json]) -> Json:
    path = _resolved(step.path, facts)
    body = _resolved(step.body, facts)
    try:
        answer = graph.send(step.method, path, body, step.headers, just_made=step.on_new)
    except GraphRefused as refusal:
        if not (step.may_be_there and refusal.status == ALREADY_THERE):
            raise
        answer = {}
        if step.gives:  # a service principal
            path += f"(appId={literal(body['appId'])})"
    if step.gives and not answer:
        # Somebody has made the object since the plan was made. "Upsert application": 204 without a body.
        answer = graph.get(path)
    needed = "secretText" if step.gives == SECRET else "id"
    if step.gives and needed not in answer:
        raise GraphUnavailable(f"Microsoft Graph's answer to “{step.what}” has no {needed}.")
    return answer


def _resolved(value: Any, facts: dict[str, Json]) -> Any:
    """`value` with each reference replaced by what it refers to."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda found: str(facts[found[1]][found[2]]), value)
    if isinstance(value, list):
        return [_resolved(one, facts) for one in value]
    if isinstance(value, dict):
        return {name: _resolved(one, facts) for name, one in value.items()}
    return value
