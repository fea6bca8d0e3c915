"""Config files: check, plan, sync, export."""
