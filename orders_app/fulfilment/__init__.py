"""Making what orders ask for: one module per order type."""
