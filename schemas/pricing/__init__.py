"""The schemas of requests about the prices of models, and the JSON of the responses."""
