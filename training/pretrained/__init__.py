"""Networks somebody else trained, used while training and measuring only; nothing that is shipped depends on them."""
