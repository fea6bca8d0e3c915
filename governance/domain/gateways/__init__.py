"""Calls to models that proxies forward: the amounts that a request allows, and the usage in a model's answer."""
