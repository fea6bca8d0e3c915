"""Reserve, settle, report, check."""
