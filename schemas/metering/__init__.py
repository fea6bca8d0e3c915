"""The schemas of metering requests, and the JSON of decisions, reservations and denials."""
