"""Measures the service next to hand-written servers, on one machine, over HTTP on the loopback interface."""
