"""The server's app: the book itself."""
