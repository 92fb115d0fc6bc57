"""What an installation may send."""
