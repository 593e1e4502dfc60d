"""Entity tags: whether a client has the same bytes already (RFC 9110, section 13.1.2)."""

import re

TAG = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


def is_held(if_none_match: str | None, tag: str) -> bool:
    """Whether `If-None-Match` lists an entity tag (`"..."`) or is `*`: then 304. Weak tags count as their strong ones.

    A list that breaks off into something else counts up to there.
    """
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    position = 0
    while found := TAG.match(if_none_match, position):
        if found[1] == tag:
            return True
        position = found.end()
    return False
