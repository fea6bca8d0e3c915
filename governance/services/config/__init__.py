"""Config files: check, plan, sync and export them."""
