"""Model limits for LLM gateways: who may spend what on which model."""

__version__ = "0.1.0"
