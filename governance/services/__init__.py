"""The services: the operations on limits, keys, calls and prices. They use no Flask and no SQL text.

They raise domain errors.
"""
