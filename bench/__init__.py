"""Measures the service and hand-written servers on one machine, over HTTP on the loopback interface."""
