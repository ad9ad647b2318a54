"""What people type and see: one file for each family of commands."""
