"""Usage over time, windows with forecasts, and what-if."""
