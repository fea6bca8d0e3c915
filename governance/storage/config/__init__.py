"""What a file or an import is compared with."""
