"""Who may write, who waits, and who has the database open."""
