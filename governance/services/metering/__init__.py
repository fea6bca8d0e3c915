"""The metering service: reserve, settle, report, check."""
