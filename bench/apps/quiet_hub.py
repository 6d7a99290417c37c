"""`zhongkong`, without a line for every request: most servers that it is compared with write none either."""

import logging

from zhongkong.cli import main

logging.getLogger("zhongkong.access").setLevel(logging.WARNING)
main()
