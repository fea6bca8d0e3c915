"""Code that commands share: opening the database, options, tables and colours."""
