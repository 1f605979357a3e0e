"""What the app costs, and what it withstands."""

import os

# Everything runs on this machine: no proxy of the environment is to be asked.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
