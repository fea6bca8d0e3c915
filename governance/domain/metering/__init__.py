"""The rules of metering: which limits apply to a call, whether it may pass, and how a reservation changes its state."""
