"""The settings of a site, for its administrators: API keys, quarantine, members, retention."""
