"""The rows: the partitioned table, the one writer, retention."""
