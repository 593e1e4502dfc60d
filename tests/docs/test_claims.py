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
        "a request for 1 waits for two batches of": "test_a_request_for_500_does_not_make_a_single_wait",
        "read without running any code in it": "test_pickles_with_code",
        "every endpoint, field, status, header and event": "test_every_endpoint_has_a_section_and_no_other",
        "any number, pipes": "test_any_number",
        "the recipe in every picture": "test_every_way_out_gives_save_files",
        "every setting": "test_settings_page_is_the_code",
    },
    "docs/save-files.md": {
        "Every picture that an operation makes is a save file": "test_every_format_of_every_operation_is_a_save_file",
        "on any server that serves the same bundle": "test_another_server_makes_the_same",
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
        "Every command takes `--quiet`": "test_quiet_and_json_on_a_terminal",
    },
    "docs/http.md": {
        "Every endpoint, with what goes in": "test_every_endpoint_has_a_section_and_no_other",
        "Every picture has one seed": "test_every_answer_says_its_seeds",
        "alone, in any batch, under any load": "test_one_seed_one_picture_in_any_company",
        "Fields that every request for pictures shares": "test_every_request_has_its_table",
        "always a job, made in parts that any worker takes": "test_chunks_are_taken_by_several_workers_and_merged_in_order",
        "any picture this server reads": "test_every_format_and_mode_gives_the_same_picture",
        "The latent and all its ancestors": "test_expressions_keep_their_lineage",
        "every stop is one of its frames": "test_every_stop_is_a_frame",
        "A POST that computes can be a job": "test_parts_give_the_bytes_of_the_whole",
        "all of them for an admin key": "test_jobs_belong_to_their_key",
        "In any representation; 202": "test_a_set_is_what_single_answers_are",
        "comes in any representation, and a broken download": "test_a_set_is_what_single_answers_are",
        "it then holds in every process and worker": "test_a_switch_reaches_all_and_outlives_a_restart",
        "The same seeds at every step": "test_a_run_folder_holds_recipe_stats_grids_and_checkpoints",
        "in every process and after restarts, and gives": "test_a_switch_reaches_all_and_outlives_a_restart",
    },
    "docs/latents.md": {
        "where every replica sees it": "test_concurrent_changes_of_one_name_neither_lose_nor_duplicate",
        "draws every operand with its exemplars": "test_equation_shows_every_operand",
        "Every stop is a frame, bit for bit": "test_every_stop_is_a_frame",
        "| any expression |": "test_every_expression_in_the_guide_can_be_read",
        "are never those they are measured on": "test_nobody_is_on_both_sides",
    },
    "docs/lapgan.md": {
        "the same for every seed": "test_noise_zero_is_one_picture_for_all_seeds",
        "every level, scaled back down, is its input within 1/255": "test_a_faithful_picture_gives_every_level_back",
        "Metadata of uploads is never copied out": "test_recipe_names_the_upload_but_copies_nothing_of_it",
        "One batch feeds all levels of a run": "test_the_penalty_counts_a_levels_own_moves",
        "`pyramid.every` lets cheap levels move more often": "test_the_penalty_counts_a_levels_own_moves",
    },
    "docs/import.md": {
        "any size, in tiles, with alpha": "test_one_server_with_every_kind",
        "Every line of the table that `import` prints": "test_what_is_written_is_a_bundle_like_any_other",
        "comes back in every range": "test_an_upsampler",
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
    "docs/operations.md": {
        "The compose file and the Kubernetes manifest set `always`": "test_no_store_in_the_deployment_may_evict",
        "An operation is the same code in every role": "test_every_role_gives_the_same_bytes",
        "a warning is logged where they are missing": "test_an_unsafe_external_server_is_warned_about",
        "`GANYMEDE_REDIS_APPENDFSYNC=always` also survives a power cut": None,
        "With `always` Redis itself exits when the disk is full": None,
        "all are in the table of `service/redis/keys.py`": "test_every_key_is_in_the_table",
        "that any worker takes and one puts": "test_chunks_are_taken_by_several_workers_and_merged_in_order",
        "a folder that all processes see or an fsspec URL": "test_an_object_store",
        "a file for each part, written whole or not at all": "test_killed_in_the_middle",
        "`ganymede jobs requeue ID` (or `all`)": "test_what_an_operator_asks_is_there_as_json",
        "`admin` (everything, all jobs": "test_jobs_belong_to_their_key",
        "reading needs any key": "test_keys_scopes_and_limits",
        "A key's limit counts over all API processes": "test_a_limit_says_when_the_next_request_may_come",
        "any literal address, as a name that was rebound": "test_on_every_address_every_address_is_ours_and_no_name",
        "`*` for all": "test_other_hosts_are_misdirected",
        "This holds for every path": "test_every_path_asks_for_the_host",
        "every answer to it has the headers of CORS": "test_a_named_page_may_ask_and_read",
        "What all connections of a process together hold back": "test_what_is_held_for_slow_clients_is_bounded",
        "read by one thread for all clients together": "test_many_readers_of_a_set_take_turns",
        "the same at every try": "test_the_receiver_can_verify_the_call_and_a_failed_one_comes_again",
        "whichever process is asked answers for all": "test_two_processes_give_the_same_bytes_survive_a_kill_and_drain",
        "Every line about a request or a job carries": "test_a_job_is_found_by_its_id_and_by_its_request",
        "a job's lines on any worker are found": "test_an_immediate_request_is_found_on_the_worker",
        "**linked** to every request whose pictures it holds": "test_a_batch_links_to_its_requests",
    },
    "docs/deployment.md": {
        "started again when they die": "test_the_fleet_is_one_image_confined_and_started_again",
        "One image serves every role": "test_the_fleet_is_one_image_confined_and_started_again",
        "Folders and zips are looked at every `GANYMEDE_BUNDLE_POLL_S`": "test_a_new_bundle_is_served_without_a_restart",
        "(names, sizes, every sha256) before it is used": "test_a_damaged_cache_is_filled_again",
    },
    "docs/training.md": {
        "shows `mine` without a restart": "test_pictures_from_the_command_line_to_a_running_server",
        "never by halves": "test_a_file_that_differs_is_not_published",
        "The complete result, with every": "test_shipped_recipes_resolve_and_survive_being_written_down",
        "| folded features | always |": "test_folded_features_are_those_of_the_published_network",
        "| label in every head |": "test_every_head_hears_the_label",
        "Files that cannot be read are refused, all named in": "test_all_trouble_is_reported_at_once_and_by_name",
        "the same 100 seeds every time": "test_a_run_folder_holds_recipe_stats_grids_and_checkpoints",
        "a run killed at any moment and resumed": "test_killed_and_resumed_is_bit_equal",
        "reopens every file through `models.runtimes`": "test_a_bundle_paints_what_the_network_paints",
        "A variant is a recipe, never a copied script": None,
    },
    "docs/evaluation.md": {
        "Every score is printed, kept in": "test_scores_are_printed_stored_and_carried_by_the_bundle",
        "with other `lite2_` figures only, never with published FIDs": None,
        "scores as many samples at every snapshot": "test_scoring_changes_nothing_that_is_trained",
        "`--step N`: any kept one": "test_the_best_checkpoint_is_kept_and_exported",
    },
    "docs/bundle-format.md": {
        "Every other file that a reader uses MUST be listed": "test_what_is_not_listed_is_not_read",
        "MAY be there, listed like any other": "test_what_is_not_listed_is_not_read",
        "`name@digest` identifies every byte": "test_a_changed_byte_is_noticed",
        "The digest covers all of it": "test_a_file_cut_short_or_swapped_is_refused",
        "the SHA-256 of all 100 numbers": "test_published_vectors",
    },
    "docs/architecture.md": {
        "batching never learn a family's name": "test_the_server_knows_no_family",
        "`gate` (what every request passes)": "test_every_path_asks_for_the_host",
        "gives every ticket its slice": "test_a_thousand_seeds",
        "alone, in every slot and with other neighbours": "test_the_probe_finds_what_depends_on_company",
        "runs the same probe on every candidate": "test_a_level_that_depends_on_company_never_wins",
        "how many pictures stand in a batch never shows": "test_one_seed_one_picture_in_any_company",
        "every level to ONNX and TorchScript, reopened": "test_a_bundle_paints_what_the_network_paints",
    },
    "docs/improved-techniques.md": {
        "every named part one switch of a recipe": "test_a_technique_is_used_or_refused",
        "always has weight normalization and feature matching": "test_a_semi_supervised_pair_matches_features_and_norms_weights",
        "so that every output has mean 0 and variance 1": "test_after_the_start_every_layer_is_white_on_that_batch",
        "for one picture never depends on another": "test_a_picture_does_not_depend_on_company",
        "decide whether the MNIST pair learns at all": None,
        "plain softplus is always positive": None,
        "scores the exported bundle, not the training net. Every": "test_scores_are_printed_stored_and_carried_by_the_bundle",
        "| any other file given there |": "test_scores_are_printed_stored_and_carried_by_the_bundle",
    },
    "docs/security.md": {
        "every local user can reach a loopback port": None,
    },
    "docs/settings.md": {},
    "SECURITY.md": {
        "every queue and body has": "test_every_threat_has_a_test",
        "Every byte of a bundle is checked against its manifest": "test_a_changed_byte_is_noticed",
    },
    "CONTRIBUTING.md": {
        "never imports `training`, torch or a runtime": "test_the_api_role_imports_neither_torch_nor_onnxruntime",
        "A test reads nothing outside the repository": "test_what_is_opened_outside_is_noticed_once",
        "Who clones pays for every version": None,
    },
}
"""Page → what it says → the test that runs it; None for a remark that no program can break."""
RECORDS = {"CHANGELOG.md", "docs/experiments.md"}
"""Pages of what was done and measured on a day, which promise nothing; so are docs/evidence and docs/decisions."""
WRITTEN = {"docs/http.md", "docs/settings.md"}
"""Pages whose tables are written from the code, which other tests compare."""
TEST = re.compile(r"`tests/[\w/]+\.py::test_\w+`")
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
    """A line that says every, any, all, never or always is in the table or names its test; but for code, and tables of it."""
    prose = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL).splitlines()
    lines = [line for line in prose if not (page in WRITTEN and line.startswith("|")) and not TEST.search(line)]
    unclaimed = [line for line in lines if UNIVERSAL.search(line) and not any(claim in line for claim in CLAIMS[page])]
    assert not unclaimed, "\n".join(unclaimed)


def test_every_page_is_here() -> None:
    """A new guide is read as the others are."""
    pages = {path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
    assert pages == CLAIMS.keys() | RECORDS


def test_the_server_knows_no_family() -> None:
    """Saving, arithmetic, walks and batching go by the manifest alone."""
    for room in ("service/engine", "service/latents", "service/operations", "models/mathematics"):
        for file in (ROOT / room).rglob("*.py"):
            assert not re.search(r"['\"](lapgan|dcgan|improved_gan)['\"]|\.family\b", file.read_text()), file
