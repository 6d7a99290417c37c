"""The account's own list of template messages (模板消息), as programs see and change it."""

from collections.abc import Mapping
from typing import Any

from zhongkong.sandbox.accounts import Account, Template
from zhongkong.sandbox.answers import Body, Refused, ok, text_of
from zhongkong.sandbox.moment import Moment

Params = Mapping[str, Any]


def get_all_private_template(account: Account, _params: Params, _at: Moment) -> Body:
    """Return the account's templates; industries are those of a test account, none. Source: 获取已选用模板列表."""
    return {
        "template_list": [
            {
                "template_id": template.template_id,
                "title": template.title,
                "primary_industry": "",
                "deputy_industry": "",
                "content": template.content,
                "example": "",
            }
            for template in account.templates.values()
        ]
    }


def api_add_template(account: Account, params: Params, at: Moment) -> Body:
    """Take a template out of the library and return its id here. Source: 选用模板.

    The sandbox's library has one template under every number: its fields are those of `keyword_name_list`.
    """
    number, names = text_of(params, "template_id_short"), params.get("keyword_name_list", [])
    if not number:
        raise Refused(40037)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(47001)
    lines = [f"{name}：{{{{keyword{place}.DATA}}}}" for place, name in enumerate(names, 1)]
    content = "\n".join(["{{first.DATA}}", *lines, "{{remark.DATA}}"])
    template = Template(at.draws.text(43), number, content)
    account.templates[template.template_id] = template
    return ok(template_id=template.template_id)


def del_private_template(account: Account, params: Params, _at: Moment) -> Body:
    """Take a template off the account's list. Source: 删除模板."""
    if account.templates.pop(text_of(params, "template_id"), None) is None:
        raise Refused(40037)
    return ok()
