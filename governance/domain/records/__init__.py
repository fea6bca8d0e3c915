"""Types for stored rows: the file that created a row, list queries, changes, the audit log, and row differences."""
