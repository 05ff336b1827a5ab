"""The project whose servers tests/test_crash_matrix.py crashes: Gatebook's own settings, a few views of its own."""
