"""What SDKs do besides fetching tokens, over HTTP: files, pictures, menus, logins, and a person's click."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp

from tests.scenario.sandbox.desk import START, Desk
from tests.unit.sandbox_http.test_pictures import read_png
from zhongkong.sandbox.media import MOST_BYTES

PNG = b"\x89PNG\r\n\x1a\n\x00\xffnot much of a picture\r\n--"
AUTHORIZE = "/connect/oauth2/authorize"


def upload(desk: Desk, content: bytes, kind: str = "image", field: str = "media") -> Any:
    """Return the answer to an upload as SDKs send it."""
    params = {"access_token": desk.stable()["access_token"], "type": kind}
    return desk.ask("POST", "/cgi-bin/media/upload", params=params, files={field: ("图.png", content)}).json()


def asked(desk: Desk, **changed: str) -> dict[str, str]:
    """Return the query of the authorize page."""
    right = {"appid": desk.appid, "redirect_uri": "https://shop.example/back?from=wx", "response_type": "code"}
    return right | {"scope": "snsapi_userinfo", "state": "a&b"} | changed


class TestMedia:
    """media/upload and media/get."""

    def test_a_file_goes_up_and_comes_down_byte_for_byte(self, desk: Desk) -> None:
        """Under its own type and the name that the platform gives it."""
        media_id = upload(desk, PNG)["media_id"]
        params = {"access_token": desk.stable()["access_token"], "media_id": media_id}
        answer = desk.ask("GET", "/cgi-bin/media/get", params=params)
        assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
        assert answer.headers["content-disposition"] == f'attachment; filename="{media_id}.png"'

    def test_the_largest_file_is_taken_and_a_larger_one_refused_in_the_platforms_words(self, desk: Desk) -> None:
        """The form around it does not count."""
        assert "media_id" in upload(desk, b"x" * MOST_BYTES["image"])
        assert upload(desk, b"x" * (MOST_BYTES["image"] + 1))["errcode"] == 40009

    def test_a_bad_id_and_a_bad_token_are_json_in_the_files_place(self, desk: Desk) -> None:
        """An SDK that streams to a file writes this into it."""
        for params, errcode in (
            ({"access_token": desk.stable()["access_token"], "media_id": "x"}, 40007),
            ({"access_token": "x", "media_id": "x"}, 40001),
        ):
            answer = desk.ask("GET", "/cgi-bin/media/get", params=params)
            assert answer.headers["content-type"] == "application/json; encoding=utf-8"
            assert answer.json()["errcode"] == errcode
        assert desk.ask("POST", "/cgi-bin/media/get").json()["errcode"] == 43001

    def test_an_upload_that_is_no_form_or_has_another_field_is_41005(self, desk: Desk) -> None:
        """A bad token comes before it, and a GET is no upload."""
        assert upload(desk, PNG, field="file")["errcode"] == 41005
        params = {"access_token": desk.stable()["access_token"], "type": "image"}
        assert desk.ask("POST", "/cgi-bin/media/upload", params=params, content=PNG).json()["errcode"] == 41005
        assert desk.ask("POST", "/cgi-bin/media/upload", files={"media": PNG}).json()["errcode"] == 41001
        assert desk.ask("GET", "/cgi-bin/media/upload", params=params).json()["errcode"] == 43002

    def test_a_video_is_told_where_it_is_and_is_there(self, desk: Desk) -> None:
        """The platform does so with videos alone."""
        params = {"access_token": desk.stable()["access_token"], "media_id": upload(desk, b"film", "video")["media_id"]}
        url = desk.ask("GET", "/cgi-bin/media/get", params=params).json()["video_url"]
        assert url.startswith("http://sandbox/")
        answer = desk.ask("GET", url)
        assert (answer.content, answer.headers["content-type"]) == (b"film", "video/mp4")

    def test_what_is_uploaded_can_do_nothing_on_the_sandboxs_own_pages(self, desk: Desk) -> None:
        """A file comes from anybody; it is shown under the type it was uploaded as and never run."""
        media_id = upload(desk, b"<script>alert(1)</script>")["media_id"]
        answer = desk.ask("GET", f"/sandbox/v1{desk.base}/media/{media_id}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        desk.turn(3 * 86_400)
        assert desk.refused("GET", f"{desk.base}/media/{media_id}")[0] == 404

    @pytest.mark.parametrize(
        ("fault", "status", "begins"),
        [
            ({"errcode": -1}, 200, b'{"errcode":-1,'),
            ({"status": 503}, 503, b"<html>"),
            ({"answer": "whole", "status": 206}, 206, PNG),
        ],
    )
    def test_faults_lie_in_wait_for_files_too(
        self, desk: Desk, fault: dict[str, Any], status: int, begins: bytes
    ) -> None:
        """A gateway in between has to stand them."""
        params = {"access_token": desk.stable()["access_token"], "media_id": upload(desk, PNG)["media_id"]}
        desk.control("POST", "/faults", {"path": "/cgi-bin/media/get"} | fault)
        answer = desk.ask("GET", "/cgi-bin/media/get", params=params)
        assert answer.status_code == status
        assert answer.content.startswith(begins)


def test_a_qr_code_is_shown_to_anybody_and_says_its_url(desk: Desk) -> None:
    """The ticket has to be escaped, as the real ones have."""
    body = {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "门店"}}, "expire_seconds": 600}
    made = desk.post("/cgi-bin/qrcode/create", body, access_token=desk.stable()["access_token"])
    assert made["ticket"].endswith("==")
    answer = desk.ask("GET", "/cgi-bin/showqrcode", params={"ticket": made["ticket"]})
    assert answer.headers["content-type"] == "image/png"
    assert [code.text for code in zxingcpp.read_barcodes(read_png(answer.content))] == [made["url"]]
    desk.turn(600)
    assert desk.ask("GET", "/cgi-bin/showqrcode", params={"ticket": made["ticket"]}).status_code == 404
    desk.control("PATCH", "/switches", {"unknown_qrcode_status": 200})
    gone = desk.ask("GET", "/cgi-bin/showqrcode")
    assert (gone.status_code, gone.content) == (200, b"")


def test_each_flow_is_in_the_journal_under_its_account(desk: Desk) -> None:
    """A file is errcode 0, and a person's token leads to the account too."""
    token, openid = desk.stable()["access_token"], next(iter(desk.account.followers))
    media_id = upload(desk, PNG)["media_id"]
    desk.ask("GET", "/cgi-bin/media/get", params={"access_token": token, "media_id": media_id})
    desk.get("/cgi-bin/ticket/getticket", access_token=token, type="jsapi")
    code = desk.control("POST", f"{desk.base}/codes", {"openid": openid})["code"]
    credentials = desk.credentials | {"grant_type": "authorization_code", "code": code}
    personal = desk.get("/sns/oauth2/access_token", **credentials)
    desk.get("/sns/userinfo", access_token=personal["access_token"], openid=openid)
    calls = [entry for entry in desk.journal.read() if entry.path != "/cgi-bin/stable_token"]
    assert [(entry.path, entry.appid, entry.errcode) for entry in calls] == [
        ("/cgi-bin/media/upload", desk.appid, 0),
        ("/cgi-bin/media/get", desk.appid, 0),
        ("/cgi-bin/ticket/getticket", desk.appid, 0),
        ("/sns/oauth2/access_token", desk.appid, 0),
        ("/sns/userinfo", desk.appid, 0),
    ]
    assert all(entry.acted_at == START for entry in calls)


class TestSns:
    """/sns over HTTP."""

    def test_its_json_is_labelled_as_text(self, desk: Desk) -> None:
        """Recorded so; strict clients stumble over it, and had better do so here."""
        for path in ("/sns/userinfo", "/sns/jscode2session"):
            answer = desk.ask("GET", path)
            assert answer.headers["content-type"] == "text/plain"
            assert ", rid: " in answer.json()["errmsg"]
        assert desk.ask("PUT", "/sns/auth").json()["errcode"] == 43001

    def test_a_mini_program_logs_in_with_a_code_of_the_control_api(self, desk: Desk) -> None:
        """By query, and by a form."""
        account = desk.control("POST", "/accounts", {"kind": "miniprogram"})
        base = f"/accounts/{account['appid']}"
        openid = desk.control("POST", f"{base}/followers", {"nickname": "x", "unionid": "oU"})["openid"]
        for method, part in (("GET", "params"), ("POST", "data")):
            made = desk.control("POST", f"{base}/codes", {"openid": openid})
            assert made["expires_in"] == 300
            values = {"appid": account["appid"], "secret": account["secret"], "js_code": made["code"]}
            values["grant_type"] = "authorization_code"
            body = desk.ask(method, "/sns/jscode2session", **{part: values}).json()
            assert (body["openid"], body["unionid"]) == (openid, "oU")
            assert "errcode" not in body

    def test_a_code_is_made_for_somebody_known_and_a_scope_there_is(self, desk: Desk) -> None:
        """A slip names the field."""
        assert desk.refused("POST", f"{desk.base}/codes", {"openid": "x"})[0] == 404
        openid = next(iter(desk.account.followers))
        status, error = desk.refused("POST", f"{desk.base}/codes", {"openid": openid, "scope": "all"})
        assert (status, "scope" in error) == (400, True)


class TestAuthorize:
    """The page on which a person clicks."""

    def test_a_click_leads_back_with_a_code_that_tells_who_it_was(self, desk: Desk) -> None:
        """The whole flow as a browser and a web server lead it."""
        page = desk.ask("GET", AUTHORIZE, params=asked(desk)).text
        openids = re.findall(r'name="openid" value="([^"]+)"', page)
        assert openids == list(desk.account.followers)
        changes = desk.changes
        answer = desk.ask("POST", AUTHORIZE, params=asked(desk), data={"openid": openids[1]})
        assert (answer.status_code, desk.changes) == (302, changes + 1)
        back = urlsplit(answer.headers["location"])
        values = parse_qs(back.query)
        assert (back.hostname, values["from"], values["state"]) == ("shop.example", ["wx"], ["a&b"])
        credentials = desk.credentials | {"grant_type": "authorization_code", "code": values["code"][0]}
        body = desk.get("/sns/oauth2/access_token", **credentials)
        assert (body["openid"], body["scope"]) == (openids[1], "snsapi_userinfo")
        told = desk.get("/sns/userinfo", access_token=body["access_token"], openid=openids[1])
        assert told["nickname"] == "Alice"

    def test_a_refusal_leads_back_with_the_state_alone(self, desk: Desk) -> None:
        """A web server has to stand that."""
        answer = desk.ask("POST", AUTHORIZE, params=asked(desk), data={"refuse": "1"})
        assert parse_qs(urlsplit(answer.headers["location"]).query) == {"from": ["wx"], "state": ["a&b"]}

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "changed",
        [
            {"appid": "wxnobody"},
            {"redirect_uri": "javascript:alert(1)"},
            {"redirect_uri": "https://"},
            {"redirect_uri": "http://["},
            {"response_type": "token"},
            {"scope": "snsapi_login"},
        ],
    )
    def test_a_link_that_is_wrong_leads_nowhere_and_says_what_is_wrong(
        self, desk: Desk, method: str, changed: dict[str, str]
    ) -> None:
        """The platform shows an error page; ours names the parameter."""
        openid = next(iter(desk.account.followers))
        answer = desk.ask(method, AUTHORIZE, params=asked(desk, **changed), data={"openid": openid})
        assert (answer.status_code, f"<code>{next(iter(changed))}</code>" in answer.text) == (400, True)
        assert not desk.account.codes

    def test_somebody_who_is_not_there_any_more_is_asked_again(self, desk: Desk) -> None:
        """The page may be older than the world."""
        answer = desk.ask("POST", AUTHORIZE, params=asked(desk), data={"openid": "gone"})
        assert (answer.status_code, "你是谁" in answer.text) == (200, True)

    def test_a_web_login_has_its_own_page_and_scope(self, desk: Desk) -> None:
        """qrconnect; and a mini program has neither."""
        link = asked(desk, scope="snsapi_login")
        assert desk.ask("GET", "/connect/qrconnect", params=link).status_code == 200
        assert desk.ask("GET", "/connect/qrconnect", params=asked(desk)).status_code == 400
        mini = desk.control("POST", "/accounts", {"kind": "miniprogram"})["appid"]
        assert desk.ask("GET", AUTHORIZE, params=asked(desk, appid=mini)).status_code == 400

    def test_it_speaks_english_and_runs_nothing(self, desk: Desk) -> None:
        """Nicknames come from anybody; an account that nobody knows says so."""
        desk.control("POST", f"{desk.base}/followers", {"nickname": "<script>alert(1)</script>"})
        answer = desk.ask("GET", AUTHORIZE, params=asked(desk), headers={"accept-language": "en"})
        assert "Who are you?" in answer.text
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        lonely = desk.control("POST", "/accounts", {})["appid"]
        assert "还没有人" in desk.ask("GET", AUTHORIZE, params=asked(desk, appid=lonely)).text


def test_the_control_api_and_the_page_show_what_is_held(desk: Desk) -> None:
    """A tester looks whether his program did it."""
    token = desk.stable()["access_token"]
    assert desk.control("GET", f"{desk.base}/menu") == {"menu": None}
    sub = {"type": "view", "name": "搜索", "url": "https://example.com/"}
    desk.post("/cgi-bin/menu/create", {"button": [{"name": "更多", "sub_button": [sub]}]}, access_token=token)
    media_id = upload(desk, PNG)["media_id"]
    code = {"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 4711}}}
    made = desk.post("/cgi-bin/qrcode/create", code, access_token=token)
    ticket = desk.get("/cgi-bin/ticket/getticket", access_token=token, type="jsapi")["ticket"]
    assert desk.control("GET", f"{desk.base}/menu")["menu"]["button"][0]["name"] == "更多"
    [media] = desk.control("GET", f"{desk.base}/media")["media"]
    assert (media["media_id"], media["size"], "content" in media) == (media_id, len(PNG), False)
    [qrcode] = desk.control("GET", f"{desk.base}/qrcodes")["qrcodes"]
    assert (qrcode["ticket"], qrcode["scene"], qrcode["expires_at"]) == (made["ticket"], 4711, None)
    tickets = {"jsapi": {"ticket": ticket, "issued_at": START, "expires_in": 7200}}
    assert desk.control("GET", f"{desk.base}/tickets") == {"tickets": tickets}
    answer = desk.ask("GET", "/sandbox/")
    for shown in ("更多", "搜索", "https://example.com/", "image · ", "4711", "永久", "data:image/svg"):
        assert shown in answer.text
    source = re.findall(r'<img src="(v1[^"]+)"', answer.text)
    assert [desk.ask("GET", f"/sandbox/{url}").content for url in source] == [PNG]
    assert "img-src 'self' data:" in answer.headers["content-security-policy"]
