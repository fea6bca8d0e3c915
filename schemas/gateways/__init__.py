"""The query strings and bodies of the endpoints that reverse proxies (nginx, Envoy) ask about LLM calls."""
