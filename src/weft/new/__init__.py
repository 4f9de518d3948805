"""`weft new`: a user's project, written from the templates in skeleton/."""
