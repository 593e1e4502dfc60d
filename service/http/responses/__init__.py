"""From a validated request to bytes: run the operation, choose the representation, encode, answer.

Shared by every route; a route only says which operation.
May import: service.http.negotiation and problems, operations, jobs, images.
"""
