"""The reports that instances send: their fields, and the parser that accepts or refuses them."""
