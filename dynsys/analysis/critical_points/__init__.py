"""How critical a point is, and how solutions behave near saddles."""
