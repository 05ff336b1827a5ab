"""A project of somebody else's: accounts with UUIDs, REST framework, ninja, hijack and loginas, on SQLite.

`python -m tests.frameworks DIRECTORY` answers requests that come as JSON lines, each with the entry it became.
"""
