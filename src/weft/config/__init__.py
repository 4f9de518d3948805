"""Keys declared once (type, default, doc); layers; every value remembers where it came from."""
