"""In-memory parts with the semantics the ports promise, one file per port."""
