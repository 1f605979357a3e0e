"""What this browser has just signed in for, so that nobody is sent to the sign-in service again and again.

A page can need consent or another factor. If it still does after an interactive sign-in, another one does not
help. A cookie notes for which scopes the last sign-ins were, as short hashes.
"""

import hashlib
from collections.abc import Collection, Iterable

from flask import Response, after_this_request, request

from ..oidc import InteractionRequired
from .engine import engine
from .responses import forget_cookie

ANSWERED = 5 * 60  # seconds within which a sign-in for the same is not repeated
MOST_NOTED = 4  # a page with more scripts that all need something else is unlikely


def interaction_for(error: InteractionRequired) -> str:
    """What a sign-in because of this error is for, as the cookie notes it."""
    return _hash(error.wanted or error.scopes)


def was_just_asked_for(error: InteractionRequired) -> bool:
    """Whether the user has just come back from a sign-in for the same."""
    return interaction_for(error) in _noted()


def note_interaction(interaction: str) -> None:
    """Note what the sign-in that has just ended was for. Empty for an ordinary sign-in, which forgets all."""
    if not interaction:
        forget_interactions()
        return
    _keep([interaction, *(other for other in _noted() if other != interaction)][:MOST_NOTED])


def forget_interactions() -> None:
    """Let the user be asked again for what the last sign-ins were for."""
    if engine().cookies.interaction in request.cookies:
        forget_cookie(engine().cookies.interaction)


def forget_interaction(error: InteractionRequired) -> None:
    """Let the user be asked again for what this error wants."""
    _forget({interaction_for(error)})


def forget_satisfied_interactions(accepted: Iterable[Collection[str]]) -> None:
    """APIs have accepted tokens for these scopes. If one wants more later, the user can be asked again."""
    if noted := _noted():
        _forget({_hash(scopes) for scopes in accepted} & set(noted))


def _noted() -> list[str]:
    """What the last sign-ins were for, the newest first."""
    return [text for text in request.cookies.get(engine().cookies.interaction, "").split(".") if text]


def _forget(interactions: Collection[str]) -> None:
    remaining = [noted for noted in _noted() if noted not in interactions]
    if not remaining:
        forget_interactions()
    elif interactions:
        _keep(remaining)


def _keep(interactions: list[str]) -> None:
    @after_this_request
    def keep(response: Response) -> Response:
        cookies = engine().cookies
        response.set_cookie(
            cookies.interaction, ".".join(interactions), max_age=ANSWERED, **cookies.attributes
        )
        return response


def _hash(scopes: Collection[str]) -> str:
    return hashlib.sha256(" ".join(sorted(scopes)).encode()).hexdigest()[:16]
