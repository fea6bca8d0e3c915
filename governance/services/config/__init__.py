"""The operations on config files: check, plan, sync and export."""
