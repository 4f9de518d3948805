"""The working tree on a private Apache, read again on every save: `inv develop`."""
