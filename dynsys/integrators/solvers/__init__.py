"""Methods of integration, and which one a problem gets."""
