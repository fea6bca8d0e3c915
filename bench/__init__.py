"""Measurements of the service against hand-written servers, on one machine, over real HTTP. Loopback only."""
