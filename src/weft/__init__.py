"""weft carries a tested, tagged release of a WSGI application to its servers, and back."""

__version__ = "0.1.0"
