"""Calls to models through a proxy: how much a request may use, and how much it used according to the model's answer."""
