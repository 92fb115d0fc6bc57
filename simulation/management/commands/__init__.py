"""A made-up fleet, to demonstrate and to try a server with."""
