"""Signing in: `oidc` speaks the protocol, `sessions` keeps who is signed in, `web` joins them for Flask."""
