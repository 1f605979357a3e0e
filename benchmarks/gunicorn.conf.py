"""One server for all that are compared: no access log, connections that outlive a pause between rounds."""

worker_class = "gthread"
keepalive = 60
graceful_timeout = 2
