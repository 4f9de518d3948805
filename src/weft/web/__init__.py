"""The artifact index: what has been released, as pages and as a package index that pip and uv install from."""
