"""What the framework would have added."""

import httpx


async def test_there_is_one_reference_and_plain_names(client: httpx.AsyncClient) -> None:
    """Generated clients call an operation as its function is called; the framework's own pages ask other hosts."""
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert (await client.get(path)).status_code == 404
    paths = (await client.get("/openapi.json")).json()["paths"]
    found = (paths["/sample"]["post"]["operationId"], paths["/livez"]["get"]["operationId"])
    assert found == ("post_sample", "livez")
