"""Decides about calls: which limits apply, whether their rules have room, and how the state of a reservation changes.
"""
