"""The domain layer: values, and functions without Flask or SQL. Besides itself it imports only the standard library."""
