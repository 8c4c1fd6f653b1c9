"""Images, tables and plots of results."""
