"""The stored rows that a config file is compared with."""
