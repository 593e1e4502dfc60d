"""HTTP only: validate, choose the representation, answer."""
