"""The sign-in engine: the protocol (`oidc`), the session records (`sessions`), and Flask on top (`web`)."""
