"""Calls to models as proxies carry them: what a request asks for, and what an answer has used."""
