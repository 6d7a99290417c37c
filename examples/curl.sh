#!/bin/sh
# A token from the hub, a call to WeChat, and what to do when it refuses the token. Needs curl, nothing else.
#   ZHONGKONG_KEY=zk_… ./curl.sh wx0123456789abcdef
set -eu
hub=${ZHONGKONG_HUB:-http://127.0.0.1:8600}
wechat=${WECHAT_API:-https://api.weixin.qq.com}
path=$hub/v1/accounts/${1:?which appid?}/access_token

# Key and token go in by a file descriptor: what stands on a command line is seen by everybody on the machine.
ask() { curl -sSf -K /dev/fd/3 -H "Accept: text/plain" "$@" 3<<END
header = "Authorization: Bearer $ZHONGKONG_KEY"
END
}
call() { curl -sSf -K - <<END
url = "$wechat/cgi-bin/user/get?access_token=$1"
END
}

token=$(ask "$path")
answer=$(call "$token")
case $answer in
*'"errcode":40001'* | *'"errcode":40014'* | *'"errcode":42001'*)
    outcome=$(printf '{"rejected":"%s"}' "$token" | ask --data @- "$path/reject")
    case $outcome in
    *'"still_valid"'*) ;; # WeChat takes it after all: the cause is another one
    *) answer=$(call "$(ask "$path")") ;;
    esac
    ;;
esac
printf '%s\n' "$answer"
