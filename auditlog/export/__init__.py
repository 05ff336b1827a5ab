"""The answer as a file."""
