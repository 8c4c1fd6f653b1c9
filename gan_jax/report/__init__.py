"""Pictures, tables and plots of results."""
