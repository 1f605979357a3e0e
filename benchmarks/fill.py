"""Fills a session store with copies of one session, through the app's own classes and in its own format.

``python -m benchmarks.fill COUNT SESSION_ID``, with the app's settings in the environment.
"""

import sys

import app_config
from signin.sessions import Records, Seal, open_store  # all that the benchmarks know of the engine


def fill(count: int, session_id: str) -> None:
    """Start ``count`` sessions with the data and the tokens of an existing one."""
    settings = app_config.load()
    records = Records(
        open_store(settings.redis_url, settings.session_dir),
        Seal([settings.secret_key, *settings.secret_key_fallbacks]),
        idle=settings.session_idle_minutes * 60,
        absolute=settings.session_absolute_minutes * 60,
    )
    data, tokens = records.read(session_id), records.tokens(session_id)
    if data is None:
        raise SystemExit("There is no such session to copy.")
    for _ in range(count):
        records.start(dict(data), tokens)


if __name__ == "__main__":
    fill(int(sys.argv[1]), sys.argv[2])
