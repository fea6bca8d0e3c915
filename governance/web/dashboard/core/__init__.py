"""The parts that all pages of the dashboard need: sessions, addresses, forms, formats, static files and errors."""
