"""The schemas of requests to reserve or charge the cost of a call, and the JSON of their responses."""
