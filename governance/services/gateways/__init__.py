"""The operations for proxies: authorize a call before it is forwarded, and settle it afterwards."""
