"""Thin shells for inv and fab: parse words, call, print, translate errors."""
