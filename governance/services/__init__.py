"""The services: operations on limits, keys, calls and prices.

They use neither Flask nor SQL text. They raise domain errors.
"""
