"""`python -m local_tenant`: checks that it can run at all, then starts the command line."""

import signal
import sys


def start() -> "int | str":
    # Ctrl-C ends the imports without a traceback. The command line then sets handlers of its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.version_info < (3, 10):  # noqa: UP036 - an older Python ends here
        return "The local tenant needs Python 3.10 or later. This is " + sys.version.split()[0] + "."
    try:
        from .cli import main
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("local_tenant"):
            raise
        return "The package '%s' is missing. Run: pip install -r requirements.txt" % error.name  # noqa: UP031
    return main()


if __name__ == "__main__":
    sys.exit(start())
