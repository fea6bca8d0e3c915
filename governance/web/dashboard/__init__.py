"""The dashboard at `/ui`: pages for browsers. One file a page; `core/` has what every page needs."""
