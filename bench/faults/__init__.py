"""What happens to accepted work when things are killed: real processes, real Redis, a shipped bundle, real HTTP."""
