"""The operations on calls: reserve, settle, report and check."""
