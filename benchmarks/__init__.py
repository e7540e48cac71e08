"""Scripts behind the figures that this project claims."""
