"""Turn the tokens of a call into dollars: what a provider reports, what a price is, and what a call costs."""
