"""Which picture sizes a stack of halvings can make, and which near ones to name when a size is none of them."""

Sides = tuple[int, int]
SMALLEST_MAP, LARGEST_MAP, LONGEST_MAP = 4, 8, 16
"""Short and long side of the first map: smaller ones see no shape, larger ones are not covered by one linear layer."""
FEWEST_HALVINGS, LARGEST_SIDE = 2, 256
SQUARES_ONLY = (16, 32, 64, 128)
"""What networks on pretrained features take."""


def sides_of(size: int | Sides) -> Sides:
    """(height, width) of a side or of a pair."""
    return (size, size) if isinstance(size, int) else size


def halvings(size: int | Sides) -> int:
    """How often both sides can be halved without the shorter one falling below 4 pixels: the stages of a DCGAN."""
    height, width = sides_of(size)
    count = 0
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= SMALLEST_MAP:
        height, width, count = height // 2, width // 2, count + 1
    return count


def base_of(size: int | Sides) -> Sides:
    """(height, width) of the first map of a generator for pictures of that size."""
    height, width = sides_of(size)
    return height >> halvings(size), width >> halvings(size)


def works(size: int | Sides) -> bool:
    """Whether a DCGAN can be built for that size."""
    base = base_of(size)
    few = halvings(size) < FEWEST_HALVINGS or max(sides_of(size)) > LARGEST_SIDE
    return not few and SMALLEST_MAP <= min(base) <= LARGEST_MAP and max(base) <= LONGEST_MAP


def refusal(size: int | Sides) -> str:
    """The sentence for a size that does not work, with the two nearest that do."""
    height, width = sides_of(size)
    steps = range(4 * SMALLEST_MAP, LARGEST_SIDE + 1, 4)
    if height == width:
        near = sorted((side for side in steps if works(side)), key=lambda side: abs(side - height))[:2]
        named = " and ".join(map(str, sorted(near)))
    else:
        pairs = [(a, b) for a in steps for b in steps if a != b and works((a, b))]
        nearest = sorted(pairs, key=lambda pair: (abs(pair[0] - height) + abs(pair[1] - width), pair))[:2]
        named = " and ".join(f"{a}x{b}" for a, b in sorted(nearest))
    shown = str(height) if height == width else f"{height}x{width}"
    return (
        f"data.size = {shown} cannot be halved at least twice down to a map of 4 to 8 pixels, up to {LARGEST_SIDE}; "
        f"the nearest that can are {named}"
    )
