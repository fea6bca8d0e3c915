"""The operations for proxies: authorize a call before the proxy forwards it, and settle it afterwards."""
