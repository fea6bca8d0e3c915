"""Types for stored rows: who created a row, queries for lists, recent changes, the audit log, and differences."""
