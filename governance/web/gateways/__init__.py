"""`/gateway/…`: endpoints for the clients of a gateway, and for the proxies that forward their calls."""
