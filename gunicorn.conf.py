"""How gunicorn serves this app: `gunicorn app:app` reads this file by itself."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))  # gunicorn may have been started elsewhere

import app_config
import b2c

# What keeps the app from starting is said once here, instead of by one worker after the other.
try:
    settings = app_config.load()
    b2c.open_store(settings.redis_url, settings.session_dir)
except app_config.ConfigError as error:
    raise SystemExit(str(error)) from None
except (OSError, *b2c.STORE_ERRORS) as error:
    raise SystemExit(f"SESSION_DIR {settings.session_dir} cannot be used: {error}") from None
except (ValueError, TypeError) as error:
    raise SystemExit(f"REDIS_URL cannot be used: {error}") from None

if not settings.https:  # on a developer's machine, where browsers come without a proxy in between
    bind = f"{urlsplit(settings.origin).hostname}:{urlsplit(settings.origin).port or 80}"

workers = 2
threads = 32  # requests wait for the tenant and the API, not for the processor
timeout = 120  # seconds without a sign of life from a worker
graceful_timeout = (
    100  # seconds for requests under way; more than one can wait for tenant, API and store in all
)
keepalive = 75  # seconds; longer than nginx keeps a connection, so that gunicorn is not the first to close
limit_request_line = 8190  # bytes; B2C's authorization codes do not fit into gunicorn's default of 4094
forwarder_headers = ""  # no proxy may say with SCRIPT_NAME where the app is
control_socket_disable = True  # its default path would be shared by all apps of one user

# Neither query string nor referrer: the callback's hold the authorization code.
accesslog = "-"
access_log_format = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(b)s %(D)sus'
