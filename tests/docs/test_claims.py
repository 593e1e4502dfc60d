"""What README and the guides say of every picture, any upload or all commands is run by a test, named here."""

import re

import pytest

from tests.conftest import ROOT

CLAIMS: dict[str, dict[str, str | None]] = {
    "README.md": {
        "The same bundle and seed give the same pixels alone, in any batch, under any load": "test_a_thousand_seeds",
        "before and after a restart": "test_the_same_bytes_after_a_restart",
        "Every answer says its seed": "test_every_answer_says_its_seeds",
        "every picture carries its recipe": "test_every_format_of_every_operation_is_a_save_file",
        "a request for 500 never makes a request for 1 wait": "test_a_request_for_500_does_not_make_a_single_wait",
        "read without running any code in it": "test_pickles_with_code",
        "every endpoint, field, status, header and event": "test_every_endpoint_has_a_section_and_no_other",
        "any number, pipes": "test_any_number",
        "the recipe in every picture": "test_every_way_out_gives_save_files",
        "every setting": "test_settings_page_is_the_code",
    },
    "docs/save-files.md": {
        "Every picture that an operation makes is a save file": "test_every_format_of_every_operation_is_a_save_file",
        "on any server that serves the same bundle": "test_every_format_of_every_operation_is_a_save_file",
        "An equation's recipe holds the numbers of every saved latent": "test_every_format_of_every_operation_is_a_save_file",
        "All cells are run by": "test_every_format_of_every_operation_is_a_save_file",
        "metadata is never copied from an upload": "test_recipe_names_the_upload_but_copies_nothing_of_it",
        "Measured with Pillow": "test_every_format_carries_it",
        "| ImageMagick `convert`, same format": None,
        '| browser, "Save image as"': "test_what_a_browser_keeps",
    },
    "docs/command-line.md": {
        "every example is run": "test_every_example_works",
        "with the same memory for any number": "test_answers_are_forgotten",
        "files appear whole or not at all": "test_upsample_a_folder",
        "Every command takes `--quiet`": "test_every_command_takes_both",
    },
    "docs/http.md": {
        "Every endpoint, with what goes in": "test_every_endpoint_has_a_section_and_no_other",
        "Every picture has one seed": "test_every_answer_says_its_seeds",
        "alone, in any batch, under any load": "test_one_seed_one_picture_in_any_company",
        "Fields that every request for pictures shares": "test_every_request_has_its_table",
        "always a job, made in parts that any worker takes": "test_killed_in_the_middle",
        "any picture this server reads": "test_every_format_and_mode_gives_the_same_picture",
        "The latent and all its ancestors": "test_expressions_keep_their_lineage",
        "every stop is one of its frames": "test_every_stop_is_a_frame",
        "Any POST that computes can be a job": "test_any_post_can_be_a_job",
        "all of them for an admin key": "test_jobs_are_listed_newest_first_to_their_owner",
        "In any representation; 202": "test_a_set_is_what_single_answers_are",
        "comes in any representation, and a broken download": "test_a_set_is_what_single_answers_are",
        "it then holds in every process and worker": "test_a_switch_reaches_all_and_outlives_a_restart",
        "The same seeds at every step": "test_runs_curves_and_grids",
        "in every process and after restarts, and gives its memory back": "test_unloading_and_loading",
    },
    "docs/latents.md": {
        "where every replica sees it": "test_saved_work_survives_a_restart",
        "draws every operand with its exemplars": "test_equation_shows_every_operand",
        "Every stop is a frame, bit for bit": "test_every_stop_is_a_frame",
        "| any expression |": "test_every_expression_in_the_guide_can_be_read",
        "are never those it is measured on": "test_nobody_is_on_both_sides",
    },
    "docs/lapgan.md": {
        "the same for every seed": "test_noise_zero_is_one_picture_for_all_seeds",
        "every level, scaled back down, is its input within 1/255": "test_faithful_gives_the_input_back",
        "Metadata of uploads is never copied out": "test_recipe_names_the_upload_but_copies_nothing_of_it",
        "One batch feeds all levels of a run": "test_a_batch_taken_apart_comes_together_exactly",
        "`pyramid.every` lets cheap levels move more often": "test_the_penalty_counts_a_levels_own_moves",
        "Any chain of rising sizes works": "test_every_shipped_recipe_trains_and_samples",
    },
    "docs/import.md": {
        "any size, in tiles, with alpha": "test_an_upsampler",
        "Every line of the table that `import` prints": "test_what_is_written_is_a_bundle_like_any_other",
        "comes back in every range": "test_the_range_is_found_by_running",
        "when these were never set, the file is refused": "test_batchnorm_that_never_learned_is_refused",
    },
    "docs/pictures.md": {
        "Every shipped generator is small": None,
        "handwritten digits, any": None,
        "every seed gives its picture again": "test_sheet_of_sixteen_is_the_same_bytes_tomorrow",
        "It is never evidence": None,
        "parts of the data are never drawn": None,
        "Any use the licence of the data forbids": None,
    },
}
"""Page → what it says → the test that runs it; None for a remark that no program can break."""
UNIVERSAL = re.compile(r"\b(every|all|never|always)\b|\bany\b(?!-size| size| number)", re.IGNORECASE)
NAMES = re.findall(r"def (test_\w+)", "".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py")))


@pytest.mark.parametrize("page", CLAIMS)
def test_every_claim_has_its_test(page: str) -> None:
    """The page still says it, and the test is there."""
    text = (ROOT / page).read_text()
    for claim, test in CLAIMS[page].items():
        assert claim in text, claim
        assert test is None or test in NAMES, test


@pytest.mark.parametrize("page", CLAIMS)
def test_no_claim_is_left_out(page: str) -> None:
    """A line that says every, any, all, never or always is in the table, but for code and tables written from it."""
    prose = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL).splitlines()
    lines = [line for line in prose if not (page == "docs/http.md" and line.startswith("|"))]
    unclaimed = [line for line in lines if UNIVERSAL.search(line) and not any(claim in line for claim in CLAIMS[page])]
    assert not unclaimed, "\n".join(unclaimed)
