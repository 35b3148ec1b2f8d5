"""Programs of JAX: their primitives, and how to look into, evaluate and follow them."""
