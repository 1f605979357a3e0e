"""Sign-in for a Flask app: `oidc` speaks the protocol, `sessions` keeps who is signed in, `web` joins them."""
