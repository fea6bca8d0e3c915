"""Model limits: their values, their windows and money, and how they change."""
