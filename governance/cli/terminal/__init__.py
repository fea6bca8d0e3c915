"""What commands share: the database they open, their options, tables and colours."""
