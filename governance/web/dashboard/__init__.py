"""The dashboard at `/ui`: pages for browsers. Each page has its own file. `core/` contains what all pages need."""
