"""Questions to the log and their answers."""
