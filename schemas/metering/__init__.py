"""Metering: requests coming in; decisions, reservations and refusals going out."""
