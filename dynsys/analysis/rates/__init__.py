"""How fast quantities decay, and what the Kurdyka-Łojasiewicz inequality proves."""
