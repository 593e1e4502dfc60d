"""Plain torch modules; they know shapes, not losses or optimisers."""
