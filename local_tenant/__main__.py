"""`python -m local_tenant`: refuse an unfit Python in one line, then hand over to the command line."""

import signal
import sys


def start():
    # Ctrl-C while the imports run ends it without a traceback; the command line has handlers of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.version_info < (3, 10):  # noqa: UP036 - this line is for those who have an older one
        return "The local tenant needs Python 3.10 or later; this is " + sys.version.split()[0] + "."
    try:
        from .cli import main
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("local_tenant"):
            raise
        return "The package '%s' is missing. Run: pip install -r requirements.txt" % error.name  # noqa: UP031
    return main()


if __name__ == "__main__":
    sys.exit(start())
