"""The acts of proxies: authorize a call before it is forwarded, settle it afterwards."""
