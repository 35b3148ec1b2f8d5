"""Differential inclusions: smooth pieces, and what happens where they meet."""
