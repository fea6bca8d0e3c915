"""Calls to models that proxies forward: how much a request may use, and how much the model's answer says it used."""
