"""Files of limits: check, plan, sync, export."""
