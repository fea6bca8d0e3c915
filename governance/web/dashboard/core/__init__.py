"""What every page of the dashboard needs: sessions, addresses, forms, formats, static files, errors."""
