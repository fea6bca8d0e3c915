"""The operations for proxies: authorize a call before forwarding it, and settle it afterwards."""
