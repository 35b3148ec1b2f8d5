"""The figures: one script a picture. `python -m scripts` makes them all."""
