"""Pages of other sites: a browser lets them call what these headers say, and nothing else."""

import pytest

PAGE = "https://dashboard.example"
ALLOW = "Access-Control-Allow-"
ASKS = {
    "Access_Control_Request_Method": "PUT",
    "Access_Control_Request_Headers": "X-Auth-Token, content-type",
}


@pytest.fixture
def open_to_page(settings):
    settings.CORS_ORIGINS = [PAGE, "http://localhost:3000"]


def told(response):
    """What a browser goes by."""
    return {name: value for name, value in response.items() if name.startswith("Access-Control-")}


class TestWithoutOrigins:
    @pytest.mark.parametrize("method", ["OPTIONS", "GET"])
    def test_browsers_are_told_nothing(self, api, method):
        response = api.call(method, "/v1/secrets", Origin=PAGE, **ASKS)

        assert (response.status_code, told(response)) == (200, {})


@pytest.mark.usefixtures("open_to_page")
class TestPreflight:
    def test_what_may_be_sent_is_told_without_a_token(self, api):
        response = api.other().call("OPTIONS", "/v1/secrets", Origin=PAGE, X_Auth_Token="", **ASKS)

        assert (response.status_code, response.content) == (200, b"")
        assert told(response) == {
            ALLOW + "Origin": PAGE,
            ALLOW + "Methods": "PUT",
            ALLOW + "Headers": "X-Auth-Token,content-type",
            ALLOW + "Credentials": "true",
            "Access-Control-Max-Age": "3600",
        }
        assert "Origin" in response["Vary"]

    @pytest.mark.parametrize(
        "changed",
        [
            {"Origin": "https://evil.example"},
            {"Origin": PAGE + ":8443"},
            {"Origin": "null"},
            {"Access_Control_Request_Method": "TRACE"},
            {"Access_Control_Request_Method": ""},
            {"Access_Control_Request_Headers": "X-Auth-Token, X-Pool"},
        ],
        ids=str,
    )
    def test_what_may_not_is_200_and_says_nothing(self, api, changed):
        response = api.call("OPTIONS", "/v1/secrets", **{"Origin": PAGE, **ASKS, **changed})

        assert (response.status_code, told(response)) == (200, {})

    @pytest.mark.parametrize("path", ["/admin/", "/metrics", "/docs/"])
    def test_only_the_api_is_open(self, api, path):
        assert told(api.call("OPTIONS", path, Origin=PAGE, **ASKS)) == {}


@pytest.mark.usefixtures("open_to_page")
class TestAnswers:
    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({}, 200),
            ({"X_Auth_Token": "wrong"}, 401),
            ({"Accept": "text/html"}, 406),
            ({"Host": "evil"}, 400),
        ],
    )
    def test_the_page_may_read_them_errors_too(self, api, options, status):
        response = api.get("/v1/secrets", Origin=PAGE, **options)

        assert response.status_code == status
        assert response[ALLOW + "Origin"] == PAGE
        assert response[ALLOW + "Credentials"] == "true"
        assert {"Location", "x-openstack-request-id"} <= set(
            response["Access-Control-Expose-Headers"].split(",")
        )
        assert "Origin" in response["Vary"]

    @pytest.mark.parametrize("origin", [None, "https://evil.example"])
    def test_others_are_answered_and_told_nothing(self, api, origin):
        response = api.get("/v1/secrets", **({"Origin": origin} if origin else {}))

        assert (response.status_code, told(response)) == (200, {})

    def test_what_the_contract_varies_by_stays(self, api):
        assert "openstack-api-version" in api.get("/v1/secrets", Origin=PAGE)["Vary"].lower()

    def test_anybody_may_never_with_credentials(self, api, settings):
        settings.CORS_ORIGINS = ["*"]

        response = api.get("/v1/secrets", Origin="https://anywhere.example")

        assert response[ALLOW + "Origin"] == "*"
        assert ALLOW + "Credentials" not in response
