"""The batching policy, with a clock of our own: fair, bounded, and nothing lost."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.batcher import GENTLE_S, PATIENCE_S, Batch, Batcher, Ticket


def ticket(count: int, caller: str = "a", key: str = "l", **options: Any) -> Ticket:
    return Ticket(**{"key": key, "count": count, "caller": caller, "payload": None, "arrived": 0.0, **options})


def next_two(batcher: Batcher) -> list[Batch]:
    found = []
    for _ in range(2):
        batch = batcher.next(0.0)
        assert batch is not None
        found.append(batch)
    return found


def drain(batcher: Batcher, now: float = 0.0) -> list[Batch]:
    batches = []
    while batch := batcher.next(now):
        batches.append(batch)
    return batches


work = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from("abc"), st.sampled_from("xy"), st.booleans()), min_size=1, max_size=20
)


@given(work)
@settings(max_examples=200)
def test_every_picture_is_computed_exactly_once(tickets: list[tuple[int, str, str, bool]]) -> None:
    """Pieces of all batches cover every ticket, each batch has one key and fits; no piece is empty or cut for nothing."""
    batcher = Batcher(lambda ticket, reason: None)
    added = [ticket(count, caller, key, bulk=bulk) for count, caller, key, bulk in tickets]
    for one in added:
        batcher.add(one)
    covered: dict[int, list[int]] = {id(one): [] for one in added}
    for batch in drain(batcher):
        assert 1 <= batch.count <= 16
        assert len({id(piece.ticket) for piece in batch.pieces}) == len(batch.pieces)
        for piece in batch.pieces:
            assert piece.ticket.key == batch.key
            assert piece.start < piece.stop
            covered[id(piece.ticket)] += range(piece.start, piece.stop)
    assert all(sorted(covered[id(one)]) == list(range(one.count)) for one in added)
    assert batcher.waiting == 0


def test_singles_share_a_batch_with_a_sheet() -> None:
    """A request for 16 and twenty for 1 need four batches, not twenty-one; the singles are in the first two."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(16, "sheet"))
    for k in range(20):
        batcher.add(ticket(1, f"caller-{k}"))
    batches = drain(batcher)
    assert len(batches) == 4
    singles = [{piece.ticket.caller for piece in batch.pieces} - {"sheet"} for batch in batches]
    assert sum(len(callers) for callers in singles[:2]) == 20


def test_a_request_for_500_does_not_make_a_single_wait() -> None:
    """The lone picture is in the next batch, whether another caller or the same one asked for 500 before."""
    for caller in ("other", "same"):
        batcher = Batcher(lambda ticket, reason: None)
        batcher.add(ticket(500, "same"))
        batcher.next(0.0)
        single = ticket(1, caller)
        batcher.add(single)
        assert any(piece.ticket is single for batch in next_two(batcher) for piece in batch.pieces)


def test_big_pieces_are_short_while_small_requests_come() -> None:
    """An eighth of a batch for a huge one, so that the next single waits less; full batches when none came for a while."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(500, "same"))
    assert counts(batcher, 0.0) == [16]
    singles = [ticket(1, "same") for _ in range(4)]
    for single in singles:
        batcher.add(single)
    first = batcher.next(0.0)
    assert first is not None
    assert {id(single) for single in singles} <= {id(piece.ticket) for piece in first.pieces}
    assert sum(piece.stop - piece.start for piece in first.pieces if piece.ticket.count == 500) <= 2
    assert counts(batcher, GENTLE_S / 2) == [2]
    assert counts(batcher, GENTLE_S * 2) == [16]


def test_another_bundles_big_pieces_are_short_too() -> None:
    """A single to one bundle waits for the batch in hand of another: half a batch of a request that is not huge."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(100, key="big"))
    batcher.add(ticket(1, key="small"))
    assert counts(batcher, 0.0) == [8]


def test_padded_batches_are_filled() -> None:
    """Where every call costs a full batch, a short one would only waste."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(500, padded=True))
    batcher.add(ticket(1, key="small"))
    assert counts(batcher, 0.0) == [16]


def counts(batcher: Batcher, now: float) -> list[int]:
    batch = batcher.next(now)
    return [batch.count] if batch else []


def test_queues_take_turns() -> None:
    """A big request to one bundle does not hold up another bundle."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(500, key="big"))
    batcher.next(0.0)
    batcher.add(ticket(1, key="small"))
    assert "small" in [batch.key for batch in next_two(batcher)]


def test_immediate_work_passes_bulk_work() -> None:
    """Bulk work is taken only when nothing immediate waits."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(100, bulk=True))
    now = ticket(5)
    batcher.add(now)
    first = batcher.next(0.0)
    assert first is not None
    assert [piece.ticket for piece in first.pieces] == [now]


def test_late_and_cancelled_work_is_dropped_before_it_is_computed() -> None:
    """The caller hears why, and its neighbours are computed."""
    dropped: list[tuple[Ticket, str]] = []
    batcher = Batcher(lambda ticket, reason: dropped.append((ticket, reason)))
    late, gone, good = ticket(5, deadline=1.0), ticket(5), ticket(5)
    for one in (late, gone, good):
        batcher.add(one)
    batcher.cancel(gone)
    assert batcher.waiting == 10, "its place is free before the next batch is formed"
    batches = drain(batcher, now=2.0)
    assert [piece.ticket for batch in batches for piece in batch.pieces] == [good]
    assert dropped == [(gone, "cancelled"), (late, "deadline")]
    assert batcher.waiting == 0


@given(st.integers(1, 60), st.integers(4, 16))
def test_a_small_rest_is_not_left_behind(singles: int, most: int) -> None:
    """Batches of eight, but never less than half a batch after a full one, unless the largest batch forbids it."""
    batcher = Batcher(lambda ticket, reason: None)
    batch = min(8, most)
    for _ in range(singles):
        batcher.add(ticket(1, batch=batch, max_batch=most))
    made = [each.count for each in drain(batcher)]
    assert sum(made) == singles
    assert all(count == batch for count in made[:-1])
    assert made[-1] <= min(most, batch + batch // 2)
    if most >= 12 and len(made) > 1:
        assert made[-1] > batch // 2


def test_who_fills_the_largest_batch_alone_gets_it() -> None:
    """An array of forty goes by sixteens where eights were chosen; beside small requests in parts of eights, as before."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(40, batch=8))
    assert [each.count for each in drain(batcher)] == [16, 16, 8]
    batcher.add(ticket(40, "big", batch=8))
    batcher.add(ticket(1, "small", batch=8))
    first = batcher.next(0.0)
    assert first is not None
    assert first.count <= 8
    assert [each.count for each in drain(batcher, now=GENTLE_S + 1)][:2] == [16, 16]


def test_who_hung_up_makes_no_batch_longer() -> None:
    """Cancelled pictures are not counted as waiting."""
    batcher = Batcher(lambda ticket, reason: None)
    tickets = [ticket(1, batch=8) for _ in range(14)]
    for one in tickets:
        batcher.add(one)
    for one in tickets[:3]:
        batcher.cancel(one)
    assert [each.count for each in drain(batcher)] == [11]


def test_a_big_rest_is_short_too_while_small_requests_come() -> None:
    """Twelve of one request would go along whole; while singles come they still fill half a batch at most."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(1, key="small", batch=8))
    batcher.add(ticket(12, batch=8))
    assert counts(batcher, 0.0) == [1]
    assert counts(batcher, 0.0) == [4]
    assert counts(batcher, GENTLE_S * 2) == [8]


def test_every_caller_is_in_the_batch_that_has_room_for_all() -> None:
    """Sixteen with two pictures each: one of each first, not both of eight."""
    batcher = Batcher(lambda ticket, reason: None)
    for k in range(16):
        batcher.add(ticket(2, f"caller-{k}"))
    first, second = drain(batcher)
    assert [len(batch.pieces) for batch in (first, second)] == [16, 16]


def test_what_is_big_and_what_is_huge() -> None:
    """A quarter of a batch is small; sixteen batches that still wait are only big, one more is huge."""
    assert (ticket(4).is_small, ticket(5).is_small) == (True, False)
    for waiting, most in ((16 * 16, 8), (17 * 16, 2)):
        batcher = Batcher(lambda ticket, reason: None)
        batcher.add(ticket(waiting))
        batcher.add(ticket(4, key="small"))
        assert counts(batcher, 0.0) == [most]


def test_what_is_left_of_a_cancelled_request_waits_no_more() -> None:
    """Counted out once, however often it is cancelled; what was handed out before is not counted again."""
    dropped: list[str] = []
    batcher = Batcher(lambda ticket, reason: dropped.append(reason))
    gone = ticket(40)
    batcher.add(gone)
    batcher.next(0.0)
    assert (gone.waiting, batcher.waiting) == (24, 24)
    for _ in range(2):
        batcher.cancel(gone)
    assert (dropped, batcher.waiting, batcher.next(0.0), list(batcher.waiting_keys())) == (["cancelled"], 0, None, [])


def test_requests_of_one_caller_take_turns() -> None:
    """Two of a hundred pictures each: the second has begun before the first is done."""
    batcher = Batcher(lambda ticket, reason: None)
    first, second = ticket(100), ticket(100)
    batcher.add(first)
    batcher.add(second)
    for _ in range(2):
        batcher.next(0.0)
    assert (first.taken, second.taken) == (16, 16)


def test_who_has_waited_long_stands_back_no_more() -> None:
    """First half a batch beside a single, by turns with a younger request; when it is due whole batches, to its end."""
    batcher = Batcher(lambda ticket, reason: None)
    first, second = ticket(100), ticket(100)
    batcher.add(first)
    batcher.add(second)
    for now in (0.0, 0.0):
        batcher.add(ticket(1))
        batcher.next(now)
    assert (first.taken, second.taken) == (8, 8)
    for _ in range(6):
        late = ticket(1, arrived=PATIENCE_S)
        batcher.add(late)
        batch = batcher.next(1.01 * PATIENCE_S)
        assert batch is not None
        assert batch.count == 16
        assert late.waiting == 0
    assert (first.taken, second.taken) == (98, 8)


def test_a_huge_request_is_never_due() -> None:
    """Ten thousand pictures stand back as long as there are hundreds: a single waits for an eighth of a batch."""
    batcher = Batcher(lambda ticket, reason: None)
    huge = ticket(10_000)
    batcher.add(huge)
    batcher.add(ticket(1, arrived=60.0))
    batcher.next(60.0)
    assert huge.taken == 2


def test_a_caller_that_left_does_not_end_the_batch() -> None:
    """Who comes after it in turn is still in the same batch."""
    batcher = Batcher(lambda ticket, reason: None)
    waiting = [ticket(1, caller) for caller in ("first", "gone", "last")]
    for one in waiting:
        batcher.add(one)
    batcher.cancel(waiting[1])
    assert [piece.ticket.caller for batch in drain(batcher)[:1] for piece in batch.pieces] == ["first", "last"]


def test_what_waits_is_known_by_its_key() -> None:
    """Immediate and bulk work alike; nothing of what is done."""
    batcher = Batcher(lambda ticket, reason: None)
    batcher.add(ticket(1, "a", "x"))
    batcher.add(ticket(1, "a", "y", bulk=True))
    assert sorted(map(str, batcher.waiting_keys())) == ["x", "y"]
    drain(batcher)
    assert list(batcher.waiting_keys()) == []
