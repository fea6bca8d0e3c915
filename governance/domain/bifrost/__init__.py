"""The import from Bifrost: its rows, which of them belong together, and which of them are imported."""
