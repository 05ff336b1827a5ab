"""The REST door: what clients of Files.com ask, answered as they read it (docs/api.md)."""
