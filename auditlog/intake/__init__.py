"""The doors: what turns data from outside into entries."""
