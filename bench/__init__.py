"""The benchmark: measures the service and other servers on one machine, over HTTP on the loopback interface."""
