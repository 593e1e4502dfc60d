"""Everything between the socket and the operations: who may come in, what a body may be, how answers look."""
