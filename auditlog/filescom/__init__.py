"""Copying the API logs of Files.com: the source, its records as entries, and the runs that go through time."""
