"""`/gateway/…`: for the clients of a gateway, and for the proxies that carry their calls."""
