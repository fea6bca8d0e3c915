"""The metering service: reserve, settle, report and check calls."""
