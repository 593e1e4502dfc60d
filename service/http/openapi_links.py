"""Links of the OpenAPI document: which value of an answer is which parameter of the next request.

Readers and generated documentation show them; the stateful tests walk along them.
"""

from typing import Any

Links = dict[str, dict[str, Any]]


def _links(parameters: dict[str, str], *operations: str) -> Links:
    """One link to each operation, named like it, with the same parameters."""
    return {name: {"operationId": name, "parameters": parameters} for name in operations}


_NEXT = {"cursor": "$response.body#/next_cursor"}
_LATENT = ("get_latent", "get_lineage", "patch_latent", "delete_latent")
_DIRECTION = ("get_direction", "delete_direction")
_JOB = ("get_job", "get_result", "get_events", "cancel_job")
_MODEL = ("get_model", "get_preview", "v2_model", "get_openai_model")

_OF_LATENT = _links({"name": "$response.body#/name"}, *_LATENT)
_OF_DIRECTION = _links({"name": "$response.body#/name"}, *_DIRECTION)
_OF_JOB = _links({"job_id": "$response.body#/id"}, *_JOB)

ANSWERS: dict[tuple[str, str], Links] = {
    ("post_latent", "201"): _OF_LATENT,
    ("patch_latent", "200"): _OF_LATENT,
    ("list_latents", "200"): _links(_NEXT, "list_latents") | _links({"name": "$response.body#/data/0/name"}, *_LATENT),
    ("post_direction", "200"): _OF_DIRECTION,
    ("list_directions", "200"): _links(_NEXT, "list_directions")
    | _links({"name": "$response.body#/data/0/name"}, *_DIRECTION),
    ("get_job", "200"): _links({"job_id": "$response.body#/id"}, *_JOB[1:]),
    ("cancel_job", "200"): _links({"job_id": "$response.body#/id"}, *_JOB[:3]),
    ("list_jobs", "200"): _links(_NEXT, "list_jobs") | _links({"job_id": "$response.body#/data/0/id"}, *_JOB),
    ("list_dead", "200"): _links({"job_id": "$response.body#/data/0/id"}, "requeue_job", *_JOB),
    ("list_models", "200"): _links({"name": "$response.body#/data/0/name"}, *_MODEL),
    ("get_runs", "200"): _links({"name": "$response.body#/data/0/name"}, "get_run"),
}
"""By operation and status; beside them every 202 links to its job."""


def link_answers(document: dict[str, Any]) -> None:
    """Put the links into a document whose operations have their ids."""
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                usual = _OF_JOB if status == "202" else {}
                if links := ANSWERS.get((operation["operationId"], status), usual):
                    answer["links"] = links
