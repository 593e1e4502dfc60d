"""Latent arithmetic as typed by people: it computes what algebra says and says where it cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.manifest import Cut, Latent
from models.mathematics import latents
from service.latents.expressions import (
    Evaluation,
    ExpressionError,
    directions_of,
    evaluate,
    names_of,
    parse,
    render,
    seeds_of,
    terms_of,
)

PRIOR = Latent(distribution="standard_normal", size=6, cuts=(Cut(name="z", shape=(6,)),))
NAMES = ["a", "b", "smile-1", "x.y", "mean", "7up"]
SAVED = {name: latents.draw(PRIOR, [k + 100])[0] for k, name in enumerate(NAMES)}
SOURCES = Evaluation(SAVED, {"smiling": latents.draw(PRIOR, [500])[0]}, lambda seed: latents.draw(PRIOR, [seed])[0])


def value(text: str) -> np.ndarray:
    return evaluate(parse(text), SOURCES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", SAVED["a"]),
        ("-a + b", SAVED["b"] - SAVED["a"]),
        ('"smile-1" - "x.y"', SAVED["smile-1"] - SAVED["x.y"]),
        ("mean", SAVED["mean"]),
        ("mean(a, b, a)", (2 * SAVED["a"] + SAVED["b"]) / 3),
        ("a - b - b", SAVED["a"] - 2 * SAVED["b"]),
        ("a - (b - b)", SAVED["a"]),
        ("2 * a / 4", SAVED["a"] / 2),
        ("(1 + 1) * a", 2 * SAVED["a"]),
        ("a + 1.5 * dir(smiling)", SAVED["a"] + 1.5 * SOURCES.directions["smiling"]),
        ("seed(7)", latents.draw(PRIOR, [7])[0]),
        ("lerp(a, b, 0.25)", 0.75 * SAVED["a"] + 0.25 * SAVED["b"]),
        ("slerp(a, b, 1/2)", latents.slerp(SAVED["a"], SAVED["b"], 0.5)),
        ("a * -1", -SAVED["a"]),
        ("--a", SAVED["a"]),
        ('1e-3*"7up"', SAVED["7up"] / 1000),
    ],
)
def test_it_computes_what_algebra_says(text: str, expected: np.ndarray) -> None:
    """Every form of the language gives the vector its algebra says."""
    np.testing.assert_allclose(value(text), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "empty"),
        ("a +", 4, "name, a number"),
        ("a b", 3, "operator"),
        ("a + $b", 5, "no place"),
        ("smile.1", 6, "double quotes"),
        ('a - "b', 5, "never closed"),
        ("(a + b", 7, "')'"),
        ("meen(a)", 1, "the nearest is mean"),
        ("a + exec(b)", 5, "no function"),
        ("a * b", 5, "multiplied"),
        ("a + 2", 5, "number cannot be added"),
        ("1 / a", 5, "cannot divide"),
        ("a / 0", 5, "zero"),
        ("a / (1 - 1)", 6, "zero"),
        ("2 + 3", 1, "must be a latent"),
        ("lerp(a, b)", 1, "takes (a, b, t)"),
        ("lerp(a, b, a)", 12, "number"),
        ("mean(1)", 6, "not a number"),
        ("seed(-1)", 6, "whole number"),
        ("seed(4294967296)", 6, "whole number"),
        ("dir(3)", 5, "name of a direction"),
        ("a * seed(3)", 5, "multiplied"),
        ("a * mean(a, b)", 5, "multiplied"),
        ("a / -b", 5, "cannot divide"),
        ("1e300 * a", 1, "1e9"),
        ("1e9*1e9*1e9*1e9*1e9*a", 1, "too large"),
        ('"a b"', 1, "cannot be a name"),
        ("a" * 3000, 2001, "2000"),
        ("(" * 40 + "a" + ")" * 40, 25, "deeper"),
        ("+".join(["a"] * 300), 513, "256"),
    ],
)
def test_errors_point_to_the_column(text: str, column: int, words: str) -> None:
    """What is wrong is named, and where."""
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert (caught.value.column, words in caught.value.detail) == (column, True), caught.value.detail
    assert caught.value.errors[0]["pointer"] == "/expression"


@pytest.mark.parametrize(
    ("text", "column", "sentence"),
    [
        ("a +", 4, "a name, a number or '(' is expected here, not the end"),
        ("a + )", 5, "a name, a number or '(' is expected here, not ')'"),
        ("smile.x", 6, "a name with a dot stands in double quotes"),
    ],
)
def test_an_error_is_a_whole_sentence_and_a_column_for_programs(text: str, column: int, sentence: str) -> None:
    """What a client gets: the sentence with its column, the same beside the pointer, and the column as a number."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    said = f"column {column}: {sentence}"
    assert (caught.value.detail, caught.value.extra) == (said, {"column": column})
    assert caught.value.errors == [{"pointer": "/expression", "detail": said}]


def test_the_longest_expression_is_read() -> None:
    """Two thousand characters are not too many."""
    assert names_of(parse("a".ljust(2000)))[0].name == "a"


@pytest.mark.parametrize(
    ("text", "spelling"), [("2 * (a)", "2 * a"), ("(-a)", "-a"), ("a*+-2.0", "a * (-2)"), ("((a - b))", "a - b")]
)
def test_needless_brackets_are_not_written(text: str, spelling: str) -> None:
    """One spelling for one meaning."""
    assert render(parse(text)) == spelling


ATOMS = st.one_of(
    st.sampled_from(["a", "b", '"smile-1"', "mean(a, b)", "seed(3)", "dir(smiling)", "slerp(a, b, .3)"]),
    st.floats(0, 99).map(lambda x: f"{round(x, 3)} * a"),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-"), inner).map(" ".join),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"2 * ({text}) / 3"),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_the_canonical_spelling_means_the_same(text: str) -> None:
    """What is written into a recipe gives the same latent again, and stays as it is."""
    tree = parse(text)
    again = render(tree)
    assert render(parse(again)) == again
    np.testing.assert_array_equal(evaluate(parse(again), SOURCES), evaluate(tree, SOURCES))


@settings(max_examples=300)
@given(st.text(alphabet='ab()+-*/,."1e seedmanlrpi$_\n', max_size=60))
def test_no_text_does_anything_but_answer_or_point(text: str) -> None:
    """Arbitrary input is computed or refused with a column inside the text; nothing else ever happens."""
    assert _column_of_refusal(text) in range(1, len(text) + 2)


def _column_of_refusal(text: str) -> int:
    try:
        parse(text)
    except ExpressionError as error:
        return error.column
    return 1


def test_operands_and_exemplars_are_told_apart() -> None:
    """An equation shows each operand with its sign, its factor and the exemplars its mean is taken over."""
    terms = terms_of(parse("mean(a, b) - 0.5 * mean(a, seed(3), b) + dir(smiling)"))
    assert [(term.sign, term.text, len(term.exemplars)) for term in terms] == [
        (1, "mean(a, b)", 2),
        (-1, "0.5 * mean(a, seed(3), b)", 3),
        (1, "dir(smiling)", 1),
    ]
    assert [(term.sign, term.text) for term in terms_of(parse("a * 2"))] == [(1, "a * 2")], "no sum is one operand"


def test_mentions_are_found() -> None:
    """Names, seeds and directions of an expression are listed with their columns before anything is computed."""
    tree = parse('a + mean("smile-1", seed(9)) * 2 - dir(smiling)')
    assert [(n.name, n.column) for n in names_of(tree)] == [("a", 1), ("smile-1", 10)]
    assert [s.seed for s in seeds_of(tree)] == [9]
    assert [d.name for d in directions_of(tree)] == ["smiling"]
