"""What the sandbox's platform pushes by itself, to a hub: who follows and leaves, what became of template messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scenario.hub.house import APPID, House
from tests.scenario.hub.programs import Says
from tests.scenario.hub.pushing import HANDLER, KEY, REPLY, TOKEN, set_up, told
from tests.scenario.hub.test_callback_platform import PERSON, Console, configure
from zhongkong.core.callbacks import Callback
from zhongkong.core.model import Secret
from zhongkong.core.ports import Delivered

MODES = ["plaintext", "compatible", "safe"]
CORP = "ww0123456789abcdef"
APPLICATION = f"{CORP}:crm"
TEMPLATE = {"title": "发货", "content": "{{order.DATA}}", "template_id": "t1"}
WELCOME = REPLY.replace(b"hi", "欢迎".encode())


@pytest.fixture
def console(house: House) -> Console:
    """A platform with one follower, whose account's handler says welcome."""
    set_up(house, handler=Secret(HANDLER))
    house.programs.says[HANDLER] = [Says(Delivered(200, WELCOME))]
    house.world.add_follower(APPID, "小明", house.clock.wall(), openid=PERSON)
    return Console(house)


def last(console: Console) -> Any:
    """Return the last push, which must have reached the handler without trouble."""
    done = console.pushed()[-1]
    assert ([one["status"] for one in done["attempts"]], done["notice"]) == ([200], None)
    assert told(console.house, "push_refused") == []
    return done


def send(console: Console, openid: str = PERSON) -> Any:
    """Return what the platform answers to a template message."""
    stable = {"grant_type": "client_credential", "appid": APPID, "secret": console.house.world.account(APPID).secret}
    token = console.house.call("POST", "/cgi-bin/stable_token", app=console.app, json=stable).json()["access_token"]
    message = {"touser": openid, "template_id": "t1", "data": {"order": {"value": "1号"}}}
    path = "/cgi-bin/message/template/send"
    return console.house.call("POST", path, app=console.app, params={"access_token": token}, json=message).json()


@pytest.mark.parametrize("mode", MODES)
def test_who_follows_by_the_accounts_qr_code_is_welcomed(console: Console, mode: str) -> None:
    """In every mode; once more is no event."""
    configure(console, mode)
    scanned = console.ask("POST", "/scan", {"nickname": "小红"}).json()
    done = last(console)
    assert scanned["push"] == done
    assert (done["message"]["Event"], done["message"]["FromUserName"]) == ("subscribe", scanned["openid"])
    assert "EventKey" not in done["message"]
    assert done["reply"]["Content"] == "欢迎"
    assert console.ask("POST", "/scan", {"openid": scanned["openid"]}).json()["push"] is None


def test_a_code_with_a_scene_tells_which_and_who_follows_already_only_scans(console: Console) -> None:
    """Leaving is told as well; who comes back subscribes."""
    configure(console)
    account = console.house.world.account(APPID)
    stable = {"grant_type": "client_credential", "appid": APPID, "secret": account.secret}
    token = console.house.call("POST", "/cgi-bin/stable_token", app=console.app, json=stable).json()["access_token"]
    code = {"action_name": "QR_STR_SCENE", "expire_seconds": 600, "action_info": {"scene": {"scene_str": "海报一"}}}
    path, params = "/cgi-bin/qrcode/create", {"access_token": token}
    ticket = console.house.call("POST", path, app=console.app, params=params, json=code).json()["ticket"]
    console.ask("POST", "/scan", {"openid": PERSON, "ticket": ticket})
    assert {name: last(console)["message"][name] for name in ("Event", "EventKey", "Ticket")} == {
        "Event": "SCAN",
        "EventKey": "海报一",
        "Ticket": ticket,
    }
    console.ask("DELETE", f"/followers/{PERSON}")
    assert last(console)["message"]["Event"] == "unsubscribe"
    console.ask("POST", "/scan", {"openid": PERSON, "ticket": ticket})
    assert (last(console)["message"]["Event"], last(console)["message"]["EventKey"]) == ("subscribe", "qrscene_海报一")
    console.house.clock.turn(601)
    assert console.ask("POST", "/scan", {"openid": PERSON, "ticket": ticket}).status_code == 404
    assert console.ask("POST", "/scan", {}).status_code == 400


def test_the_page_of_the_qr_code_follows_and_shows_the_welcome(console: Console) -> None:
    """As a person with a browser does it; a page of another account, or of no code, is none."""
    page = f"/sandbox/q/{APPID}"
    shown = console.house.call("GET", page, app=console.app).text
    assert "data:image/svg" in shown
    assert "小明" in shown
    silent = console.house.call("POST", page, app=console.app, content="nickname=%E5%B0%8F%E7%BA%A2").text
    assert "没有配置服务器" in silent
    configure(console, "safe")
    welcomed = console.house.call("POST", page, app=console.app, content="nickname=<b>Eve</b>").text
    assert "欢迎" in welcomed
    assert "<b>Eve" not in welcomed
    assert "没有事件" in console.house.call("POST", page, app=console.app, content=f"openid={PERSON}").text
    console.house.programs.says[HANDLER] = [Says(Delivered(200, b"success"))]
    console.ask("DELETE", f"/followers/{PERSON}")
    assert "没有回复" in console.house.call("POST", page, app=console.app, content=f"openid={PERSON}").text
    for wrong in ("/sandbox/q/wxother", f"{page}?ticket=x"):
        for method in ("GET", "POST"):
            answer = console.house.call(method, wrong, app=console.app, content="nickname=x")
            assert (answer.status_code, "已经过期" in answer.text) == (404, True)
    assert console.house.call("POST", page, app=console.app, content="openid=nobody").status_code == 404


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("state", "status", "reads"),
    [("success", "success", 1), ("user block", "failed:user block", 0), ("system failed", "failed: system failed", 0)],
)
def test_what_became_of_a_template_message_is_pushed(
    console: Console, mode: str, state: str, status: str, reads: int
) -> None:
    """After the call was answered, with its msgid; a message that failed reaches nobody."""
    configure(console, mode)
    console.ask("POST", "/templates", TEMPLATE)
    console.ask("PATCH", f"/followers/{PERSON}", {"template_status": state})
    answer = send(console)
    assert answer["errcode"] == 0
    message = last(console)["message"]
    told_of = {name: message[name] for name in ("Event", "FromUserName", "MsgID", "Status")}
    assert told_of == {
        "Event": "TEMPLATESENDJOBFINISH",
        "FromUserName": PERSON,
        "MsgID": answer["msgid"],
        "Status": status,
    }
    assert len(console.ask("GET", "/messages").json()["messages"]) == reads
    assert len(console.house.programs.got) == 1


def test_two_template_messages_are_two_events(console: Console) -> None:
    """They came within one second, and only their MsgID tells them apart."""
    configure(console)
    console.ask("POST", "/templates", TEMPLATE)
    for _ in range(2):
        assert send(console)["errcode"] == 0
    assert len(console.house.programs.got) == 2


def test_without_a_server_nothing_waits_to_be_pushed(console: Console) -> None:
    """It would come when one is configured, long after."""
    console.ask("POST", "/templates", TEMPLATE)
    assert send(console)["errcode"] == 0
    console.ask("DELETE", f"/followers/{PERSON}")
    assert list(console.house.world.account(APPID).due) == []
    configure(console)
    assert console.pushed() == []


@pytest.fixture
def office(house: House) -> Console:
    """An application of WeCom with one member, that pushes to the house."""
    house.add_application(APPLICATION)
    callback = Callback(APPLICATION, Secret(TOKEN), Secret(KEY), Secret(HANDLER))
    assert house.clock.run(house.store.put_callback(callback))
    house.programs.says[HANDLER] = [Says(Delivered(200, WELCOME))]
    house.world.add_follower(APPLICATION, "张三", house.clock.wall(), openid="zhangsan")
    return Console(house, APPLICATION)


def save(office: Console, **given: str) -> Any:
    """Return the answer to saving the configuration of the application."""
    url = f"http://hub.test/callback/{APPLICATION}"
    return office.ask("PUT", "/callback", {"url": url, "token": TOKEN, "encoding_aes_key": KEY, **given})


def test_wecom_is_checked_and_pushed_to_in_its_own_form(office: Console) -> None:
    """One mode, for the corpid, with the AgentID; the plain reply is encrypted by the hub for the corpid too."""
    saved = save(office)
    assert (saved.status_code, saved.json()["callback"]["mode"]) == (200, "safe")
    done = office.ask("POST", "/followers/zhangsan/say", {"content": "你好"}).json()
    assert ([one["status"] for one in done["attempts"]], done["reply"]["Content"]) == ([200], "欢迎")
    message, agentid = done["message"], office.ask("GET", "").json()["agentid"]
    assert (message["ToUserName"], message["FromUserName"], message["AgentID"]) == (CORP, "zhangsan", agentid)
    assert f"<AgentID><![CDATA[{agentid}]]></AgentID>".encode() in office.house.programs.got[0].body
    office.ask("POST", "/followers", {"nickname": "李四", "openid": "lisi"})
    assert last(office)["message"] | {"CreateTime": 0} == {
        "ToUserName": CORP,
        "FromUserName": "lisi",
        "CreateTime": 0,
        "AgentID": agentid,
        "MsgType": "event",
        "Event": "subscribe",
    }


@pytest.mark.parametrize("given", [{"mode": "plaintext"}, {"data_format": "json"}, {"encoding_aes_key": ""}])
def test_wecom_pushes_in_no_other_way(office: Console, given: dict[str, str]) -> None:
    """Its console does not offer one."""
    assert save(office, **given).status_code == 400


def test_a_member_reads_no_notice(office: Console) -> None:
    """What a handler answers that cannot be used is told in the attempts alone."""
    save(office)
    del office.house.programs.says[HANDLER]
    office.cuts = 9
    done = office.ask("POST", "/followers/zhangsan/say", {"content": "你好"}).json()
    assert (done["reply"], done["notice"], len(done["attempts"])) == (None, None, 4)
    assert "timeout" in done["attempts"][-1]["why"]
