"""The server's project: settings, addresses, workers and the embedded database."""
